"""Records from JSON files: every error names the file, the record and what to do."""

import json
from pathlib import Path
from typing import Any


def read_json(path: Path) -> Any:
    """Read a JSON file.

    :param path: the file.
    :raises ValueError: for a file that is not UTF-8 or not JSON.
    """
    return _parse(path, _text(path), first_line=1)


def read_records(path: Path) -> list[dict[str, Any]]:
    """Read a file of records: a JSON list of objects, or in a ``.jsonl`` file one object a line.

    :param path: the file.
    :return: the records, at least one.
    :raises ValueError: for a file that is anything else, or empty.
    """
    if path.suffix == ".jsonl":
        lines = enumerate(_text(path).split("\n"), start=1)
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


def checked_records(path: Path, content: list[Any]) -> list[dict[str, Any]]:
    """Check that a list holds objects, at least one.

    :param path: the file, for the message.
    :param content: the list.
    :raises ValueError: if not.
    """
    if not content:
        raise ValueError(f"{path}: expected at least one record, got an empty list; copy the file again")
    for row, record in enumerate(content):
        if not isinstance(record, dict):
            got = f"{_kind(record)} {record!r:.60}"
            raise ValueError(f"{path}, record {row}: expected an object, got {got}; correct or drop the record")
    return content


def text_field(path: Path, row: int, record: dict[str, Any], field: str) -> str:
    """Return a text that must not be empty.

    :param path: the file, for the message.
    :param row: the record's number in it, from 0.
    :param record: the record.
    :param field: the field.
    :raises ValueError: for a field that is missing, empty or no text.
    """
    value = _field(path, row, record, field)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(
            f"{path}, record {row}: expected {field!r} to be a text that is not empty, got {value!r:.60}; correct or "
            "drop the record"
        )
    _check_characters(path, row, field, value)
    return value


def answers_field(path: Path, row: int, record: dict[str, Any], field: str) -> tuple[str, ...]:
    """Return the accepted answers of a record: one text, or a list of them. Texts may be empty.

    :param path: the file, for the message.
    :param row: the record's number in it, from 0.
    :param record: the record.
    :param field: the field.
    :raises ValueError: for a field that is missing or holds anything else.
    """
    value = _field(path, row, record, field)
    answers = value if isinstance(value, list) else [value]
    if not answers or not all(isinstance(answer, str) for answer in answers):
        raise ValueError(
            f"{path}, record {row}: expected {field!r} to be a text or a list of texts, got {value!r:.60}; "
            "write the answer as text"
        )
    for answer in answers:
        _check_characters(path, row, field, answer)
    return tuple(answers)


def read_labels(path: Path) -> tuple[str, ...]:
    """Read a ``labels.json``.

    :param path: the file.
    :raises ValueError: if it is not a list of different texts.
    """
    labels = read_json(path)
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
        raise ValueError(f"{path}: expected a JSON list of texts, the task's labels, got {labels!r:.60}; correct it")
    if len(set(labels)) != len(labels):
        raise ValueError(f"{path}: expected each label once, got {labels!r:.400}; remove the second")
    for row, label in enumerate(labels):
        _check_characters(path, row, "label", label)
    return tuple(labels)


def _field(path: Path, row: int, record: dict[str, Any], field: str) -> Any:
    if field not in record:
        raise ValueError(
            f"{path}, record {row}: expected the field {field!r}, got only {sorted(record)!r:.200}; complete or drop "
            "the record, or, if all are like it, see whether the file is from another layout"
        )
    return record[field]


def _check_characters(path: Path, row: int, field: str, text: str) -> None:
    """Refuse half a character, such as a text cut inside an emoji leaves: no tokenizer takes it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{path}, record {row}: expected {field!r} to be whole characters, got half of one "
            f"({text[error.start]!r}) at place {error.start}; remove it"
        ) from error


def _text(path: Path) -> str:
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
