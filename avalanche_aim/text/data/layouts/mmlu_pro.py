"""The layout of MMLU-Pro on the Hub: one table of all domains, ``data/test-*.parquet``."""

from pathlib import Path
from typing import Any

from ..mmlu_pro import FIELDS, LETTERS, domain_records
from ..tables import SUFFIXES, records_of
from .finding import by_canonical_name, entries, file_start
from .layout import Layout, TaskFiles


class MMLUProLayout(Layout):
    """Rows of question, options, answer and category; each category is a task, split here into train, dev and test."""

    name = "MMLU-Pro"
    pattern = "test-*.parquet or test.json, .jsonl, in data/ or not: rows of question, options, answer and category"

    def matches(self, folder: Path) -> bool:
        """Recognised by the columns of its one table."""
        return any(set(FIELDS) <= _columns(path) for path in _tables(folder))

    def tasks(self, folder: Path) -> dict[str, TaskFiles]:
        """Find the tasks; see :class:`~avalanche_aim.text.data.layouts.layout.Layout`."""
        paths = [path for path in _tables(folder) if set(FIELDS) <= _columns(path)]
        rows: list[Any] = [row for path in paths for row in records_of(path, path)]
        found = domain_records(rows, paths[0].parent if paths[1:] else paths[0]) if paths else {}
        return by_canonical_name(
            TaskFiles("-".join(domain.split()), splits, answers=LETTERS) for domain, splits in found.items()
        )

    def note(self, folder: Path) -> str | None:
        """The split is ours."""
        return (
            "MMLU-Pro has no training rows: its test rows are split here, by a hash of each question, so scores from "
            "them belong in no table with published ones"
        )


def _tables(folder: Path) -> list[Path]:
    found = (path for place in ("test*", "data/test*") for path in entries(folder, place))
    return [path for path in found if path.suffix in SUFFIXES and path.is_file()]


def _columns(path: Path) -> set[str]:
    """The columns of a table; of JSON only those that its first record shows."""
    if path.suffix == ".parquet":
        try:
            from pyarrow import ArrowException
            from pyarrow.parquet import read_schema
        except ImportError as error:
            raise ImportError(f"{path}: expected the package pyarrow; pip install 'avalanche-aim[hub]'") from error
        try:
            return set(read_schema(path).names)
        except (ArrowException, OSError):
            return set()  # reading it as another layout says what is wrong
    start = file_start(path, 4000)
    return {name for name in FIELDS if f'"{name}"' in start}
