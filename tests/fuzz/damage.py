"""Generators of damage: to values, to JSON documents, to bytes, to folders."""

import json
import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

Folder = Mapping[str, bytes | str]
"""Path → bytes of a file, or one of :data:`ODD`."""
ODD = ("folder", "loop", "dangling", "unreadable", "pipe", "missing")
"""What may stand where a file is expected."""

TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", " ", "-", "\ufeff", "\x00", "\ud800", "a\nb", "<b>&\"'", "../..", "|", "x" * 5000, "%s{0}",
    "1", "nan"]),
)  # fmt: skip
NUMBERS = st.one_of(
    st.integers(-3, 300),
    st.sampled_from([10**400, -(10**19), 2**63, 2**31, 1e308, -1e308, 5e-324, -0.0, 0.5]),
    st.sampled_from([float("nan"), float("inf"), float("-inf")]),
    st.floats(),
)
JUNK: SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
"""Any value that JSON or YAML can hold."""


def nested(depth: int) -> list[Any]:
    """Return a list in a list in a list …"""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@st.composite
def edited(draw: DrawFn, document: Any, most: int = 3, junk: SearchStrategy[Any] = JUNK) -> Any:
    """Change some places of a document: another value, none, one more, twice."""
    holder = [deepcopy(document)]
    for _ in range(draw(st.integers(1, most))):
        parent, key = draw(st.sampled_from(places(holder)))
        change = draw(st.sampled_from(["replace", "replace", "delete", "add", "copy", "wrap"]))
        if change == "replace" or parent is holder:
            parent[key] = draw(junk)
        elif change == "delete":
            del parent[key]
        elif change == "add" and isinstance(parent, dict):
            parent[draw(TEXTS)] = draw(junk)
        elif change in ("add", "copy") and isinstance(parent, list):
            parent.insert(key, draw(junk) if change == "add" else deepcopy(parent[key]))
        else:
            parent[key] = [parent[key]]
    return holder[0]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place inside a list or an object, outermost first."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


@st.composite
def bytes_of(draw: DrawFn, content: bytes, most: int = 3) -> bytes:
    """Change some bytes: cut off, flipped, put in, left out, in another encoding."""
    for _ in range(draw(st.integers(1, most))):
        place = draw(st.integers(0, max(0, len(content) - 1)))
        change = draw(st.sampled_from(["cut", "flip", "insert", "delete", "head", "encode", "twice"]))
        if change == "cut":
            content = content[:place]
        elif change == "flip":
            content = (
                content[:place]
                + bytes([content[place] ^ 1 << draw(st.integers(0, 7))] if content else b"")
                + content[place + 1 :]
            )
        elif change == "insert":
            content = content[:place] + draw(st.sampled_from(SPLINTERS)) + content[place:]
        elif change == "delete":
            content = content[:place] + content[place + draw(st.integers(1, 40)) :]
        elif change == "head":
            content = (
                draw(st.sampled_from([b"\xef\xbb\xbf", b"\xff\xfe", b"\x80", b"\x1f\x8b\x08", b"PK\x03\x04"])) + content
            )
        elif change == "encode":
            content = content.decode("utf-8", "replace").encode(
                draw(st.sampled_from(["utf-16", "utf-32", "cp037"])), "replace"
            )
        else:
            content += content
    return content


def flipped(content: bytes) -> SearchStrategy[bytes]:
    """Flip one bit."""
    return st.builds(
        lambda place, bit: content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :],
        st.integers(0, len(content) - 1),
        st.integers(0, 7),
    )


SPLINTERS = [
    b"\x00", b"\xff", b"\r", b"\n", b'"', b"{", b"}", b"[", b",", b":", b"NaN", b"Infinity", b"-", b"1e999", b"\xc3",
    b"\xed\xa0\x80", b"\\ud800", b"null", b"9" * 5000, b"[" * 100_000, b'{"a":' * 100_000,
]  # fmt: skip
WHOLES = [
    b"", b" ", b"\xef\xbb\xbf", b"null", b"[]", b"{}", b'""', b"0", b"NaN", b"[[]]", b"[{}]", b"\x00" * 50,
    b"[" * 100_000,
    b"[" + b"9" * 5000 + b"]", b"<html></html>", b"version https://git-lfs.github.com/spec/v1\n", b"\x80\x04K\x01.",
]  # fmt: skip
"""Contents that have nothing to do with what is expected: empty, other documents, a login page, a pickle."""


def json_file(document: Any) -> SearchStrategy[bytes]:
    """A JSON file: some of its values changed, or some of its bytes, or another file altogether."""
    whole = to_json(document)
    return st.one_of(
        edited(document).map(to_json),
        edited(document).map(to_json),
        edited(document).map(to_json),
        st.sampled_from(places([document])[1:]).flatmap(lambda place: _replaced(document, place[1])),
        bytes_of(whole),
        st.sampled_from(WHOLES),
        JUNK.map(to_json),
        st.sampled_from(places([document])).map(lambda place: _doubled(whole, place[1])),
    )


def to_json(document: Any) -> bytes:
    """Write a document as JSON, NaN and infinities too."""
    return json.dumps(document, indent=1).encode()


def _replaced(document: Any, key: Any) -> SearchStrategy[bytes]:
    """A field replaced by something else wherever it stands."""

    def change(value: Any, junk: Any) -> Any:
        if isinstance(value, list):
            return [junk if n == key else change(item, junk) for n, item in enumerate(value)]
        if isinstance(value, dict):
            return {name: junk if name == key else change(item, junk) for name, item in value.items()}
        return value

    return JUNK.map(lambda junk: to_json(change(document, junk)))


def _doubled(whole: bytes, key: Any) -> bytes:
    """Give a field twice."""
    field = json.dumps(key).encode() + b": "
    return whole.replace(field, field + b"[], " + field, 1)


@st.composite
def changes_of(draw: DrawFn, files: Mapping[str, bytes], most: int = 2) -> dict[str, bytes | str]:
    """Change some files of a folder, or what there is in place of them, or their names; return what changed."""
    folder: dict[str, bytes | str] = {}
    for _ in range(draw(st.integers(1, most))):
        name = draw(st.sampled_from(sorted(files)))
        change = draw(st.sampled_from(["values", "values", "values", "bytes", "whole", "odd", "rename", "copy"]))
        if change == "odd":
            folder[name] = draw(st.sampled_from(ODD))
        elif change == "whole":
            folder[name] = draw(st.sampled_from(WHOLES))
        elif change in ("rename", "copy"):
            other = name.replace(*draw(st.sampled_from([("train", "Train"), (".json", ".jsonl"), ("/", "/x/"), ("_",
            ""),
                                                        ("test", "eval"), ("s", "S"), (".json", "")])))  # fmt: skip
            folder[other] = files[name]
            if change == "rename":
                folder[name] = "missing"
        else:
            folder[name] = draw(_file(name, files[name], change))
    return folder


def _file(name: str, content: bytes, change: str) -> SearchStrategy[bytes]:
    if change == "bytes" or not name.endswith((".json", ".jsonl")):
        return bytes_of(content)
    if name.endswith(".jsonl"):
        records = [json.loads(line) for line in content.splitlines()]
        return edited(records).map(
            lambda rows: b"\n".join(json.dumps(r).encode() for r in rows) if isinstance(rows, list) else b""
        )
    return json_file(json.loads(content))


def put(folder: Folder, into: Path) -> None:
    """Write a folder to disk."""
    for name, content in folder.items():
        path = into / name
        if content == "missing":
            continue
        _make_parents(path, into)
        if path.is_symlink() or path.exists():
            continue
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            _PUT[content](path)


def _make_parents(path: Path, top: Path) -> None:
    """Make the folders above a file, in place of a file that is in the way."""
    for parent in reversed([parent for parent in path.parents if top in parent.parents]):
        if parent.is_symlink() or (parent.exists() and not parent.is_dir()):
            parent.unlink()
        parent.mkdir(exist_ok=True)


def _unreadable(path: Path) -> None:
    """A file that opens and can't be read, for the superuser too."""
    path.symlink_to("/proc/self/mem")


_PUT: dict[str, Callable[[Path], None]] = {
    "folder": lambda path: path.mkdir(),
    "loop": lambda path: path.symlink_to(path.name),
    "dangling": lambda path: path.symlink_to("nowhere"),
    "unreadable": _unreadable,
    "pipe": lambda path: os.mkfifo(path),
}
