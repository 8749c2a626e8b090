"""Records from tables: CSV and Parquet files, data frames, Hugging Face data sets, lists of mappings."""

import csv
import os
from collections.abc import Iterable, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from .records import checked_records, read_records, read_text

TABLES = (".csv", ".tsv", ".parquet")
SUFFIXES = (".json", ".jsonl", *TABLES)
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
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import read_table
    except ImportError as error:
        raise ImportError(f"{path}: expected the package pyarrow; pip install 'avalanche-aim[hub]'") from error
    try:
        rows = read_table(path).to_pylist()
    except (ArrowException, OSError, ValueError) as error:
        raise ValueError(f"{path}: expected a Parquet file, got {error!s:.200}; copy it again") from error
    return checked_records(path, [{name: _plain(value) for name, value in row.items()} for row in rows])
