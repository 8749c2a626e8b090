"""Records from JSON, CSV and Parquet files, data frames, Hugging Face data sets and lists of mappings.

Every error names the file, the record and what to do.
"""

import csv
import json
import os
from collections.abc import Iterable, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from .examples import check_characters

SUFFIXES = (".json", ".jsonl", ".csv", ".tsv", ".parquet")
"""Of all files that hold records."""


def records_of(source: Any, where: Path | str) -> list[dict[str, Any]]:
    """Read the records of one split.

    Numbers of a typed table become text, as in a CSV file; class numbers of a Hugging Face data set become names.

    :raises ValueError: for anything else, or a source without records.
    :raises ImportError: for a Parquet file without pyarrow.
    """
    if isinstance(source, (str, Path)):
        path = Path(os.path.expanduser(source))
        read = {".csv": _csv, ".tsv": _csv, ".parquet": _parquet}.get(path.suffix, read_records)
        return read(path)
    features = getattr(source, "features", None) or {}
    if hasattr(source, "to_dict") and hasattr(source, "columns"):  # a data frame of pandas
        source = source.to_dict("records")
    if isinstance(source, (bytes, Mapping)) or not isinstance(source, Iterable):
        raise ValueError(
            f"{where}: expected a file, a list of records, a data frame or a datasets.Dataset, got {source!r:.80}"
        )
    names = {name: feature.names for name, feature in features.items() if hasattr(feature, "int2str")}
    rows = checked_records(where, list(source))
    return [{name: _plain(value, names.get(name)) for name, value in row.items()} for row in rows]


def read_json(path: Path) -> Any:
    """Read a JSON file; a ValueError says where it is not UTF-8 or not JSON."""
    return _parse(path, read_text(path), first_line=1)


def read_records(path: Path) -> list[dict[str, Any]]:
    """Read a JSON file of records, at least one: a list of objects, or in a ``.jsonl`` file one object a line."""
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
    """Check that a list holds objects, at least one."""
    if not content:
        raise ValueError(f"{path}: expected at least one record, got none; copy the file again")
    for row, record in enumerate(content):
        if not isinstance(record, dict):
            got = f"{_kind(record)} {record!r:.60}"
            raise ValueError(f"{path}, record {row}: expected an object, got {got}; correct or drop the record")
    return content


def read_labels(path: Path) -> tuple[str, ...]:
    """Read a ``labels.json``, a list of different texts."""
    labels = read_json(path)
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
        raise ValueError(f"{path}: expected a JSON list of texts, the task's labels, got {labels!r:.60}; correct it")
    if len(set(labels)) != len(labels):
        raise ValueError(f"{path}: expected each label once, got {labels!r:.400}; remove the second")
    for row, label in enumerate(labels):
        check_characters(f"{path}, record {row}", "label", label)
    return tuple(labels)


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, which must not be empty."""
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


def _plain(value: Any, names: list[str] | None = None) -> Any:
    """A value of a typed table as JSON would hold it, numbers as text."""
    if names is not None and isinstance(value, int):
        return names[value] if value in range(len(names)) else None  # -1 says that there is no public label
    value = value.item() if hasattr(value, "item") and not hasattr(value, "__len__") else value  # NumPy's numbers
    if isinstance(value, (int, float)):
        return None if value != value else str(value)
    if hasattr(value, "tolist"):
        value = value.tolist()
    return [_plain(one, names) for one in value] if isinstance(value, (list, tuple)) else value


def _csv(path: Path) -> list[dict[str, Any]]:
    """Read a table with a head line, separated by commas, tabs (.tsv) or, if the head has no comma, semicolons."""
    text = read_text(path)
    first = text.lstrip().partition("\n")[0]
    separator = "\t" if path.suffix == ".tsv" else ";" if ";" in first and "," not in first else ","
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        head, *rows = ((reader.line_num, row) for row in reader if row)
    except (csv.Error, ValueError) as error:
        raise ValueError(f"{path}, line {reader.line_num}: expected CSV, got {error}; correct the file") from error
    names = head[1]
    if len(set(names)) != len(names):
        raise ValueError(f"{path}: expected each column once, got {names!r:.200}; rename one")
    for line, row in rows:
        if len(row) != len(names):
            raise ValueError(
                f"{path}, line {line}: expected {len(names)} columns ({', '.join(names):.200}), got {len(row)}; put "
                "texts that hold the separator in double quotes"
            )
    return checked_records(path, [dict(zip(names, row, strict=True)) for _, row in rows])


def _parquet(path: Path) -> list[dict[str, Any]]:
    pyarrow = pyarrow_for(path)
    try:
        rows = pyarrow.parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise ValueError(f"{path}: expected a Parquet file, got {error!s:.200}; copy it again") from error
    return checked_records(path, [{name: _plain(value) for name, value in row.items()} for row in rows])


def pyarrow_for(path: Path) -> Any:
    """Return pyarrow with its Parquet part, or say how to install it."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(f"{path}: expected the package pyarrow; pip install 'avalanche-aim[hub]'") from error
    return pyarrow
