"""Records from JSON files: every error names the file, the record and what to do."""

import json
from pathlib import Path
from typing import Any

from .examples import check_characters


def read_json(path: Path) -> Any:
    """Read a JSON file.

    :raises ValueError: for a file that is not UTF-8 or not JSON.
    """
    return _parse(path, read_text(path), first_line=1)


def read_records(path: Path) -> list[dict[str, Any]]:
    """Read a JSON file of records: a list of objects, or in a ``.jsonl`` file one object a line.

    :return: the records, at least one.
    :raises ValueError: for a file that is anything else, or empty.
    """
    if path.suffix == ".jsonl":
        lines = enumerate(read_text(path).split("\n"), start=1)
        content: Any = [_parse(path, line, number) for number, line in lines if line.strip()]
    else:
        content = read_json(path)
    if not isinstance(content, list):
        keys = f" with {sorted(content)!r:.200}" if isinstance(content, dict) else ""
        raise ValueError(
            f"{path}: expected a JSON list of records, got {_kind(content)}{keys}; write the list alone, or see "
            "whether the file is from another layout"
        )
    return checked_records(path, content)


def checked_records(path: Path | str, content: list[Any]) -> list[dict[str, Any]]:
    """Check that a list holds objects, at least one.

    :raises ValueError: if not.
    """
    if not content:
        raise ValueError(f"{path}: expected at least one record, got none; copy the file again")
    for row, record in enumerate(content):
        if not isinstance(record, dict):
            got = f"{_kind(record)} {record!r:.60}"
            raise ValueError(f"{path}, record {row}: expected an object, got {got}; correct or drop the record")
    return content


def read_labels(path: Path) -> tuple[str, ...]:
    """Read a ``labels.json``.

    :raises ValueError: if it is not a list of different texts.
    """
    labels = read_json(path)
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
        raise ValueError(f"{path}: expected a JSON list of texts, the task's labels, got {labels!r:.60}; correct it")
    if len(set(labels)) != len(labels):
        raise ValueError(f"{path}: expected each label once, got {labels!r:.400}; remove the second")
    for row, label in enumerate(labels):
        check_characters(path, row, "label", label)
    return tuple(labels)


def read_text(path: Path) -> str:
    """Read a text file.

    :raises ValueError: for one that is empty or not UTF-8.
    :raises OSError: for one that can't be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # with or without a byte order mark
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}: expected UTF-8 text, byte {error.start} (line {line}) is not; convert the file to UTF-8"
        ) from error
    except OSError as error:
        raise OSError(f"{path}: expected a file to read, got {error.strerror}; copy the file again") from error
    if not text.strip():
        raise ValueError(f"{path}: expected at least one record, got an empty file; copy the file again")
    return text


def _parse(path: Path, text: str, first_line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {first_line + error.lineno - 1}, column {error.colno}"
        remedy = "correct the file, or copy it again if it was cut short"
        if error.msg == "Extra data" and path.suffix == ".json":
            remedy = "name a file of JSON Lines .jsonl"
        raise ValueError(
            f"{path}: expected JSON, but this is not valid JSON at {where} ({error.msg}); {remedy}"
        ) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise ValueError(
            f"{path}: expected JSON, but this is not valid JSON from line {first_line} on ({error}); copy it again"
        ) from error


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "a text", type(None): "null"}.get(type(value), type(value).__name__)
