"""MMLU-Pro as a stream: its fourteen domains, each a task of multiple choice.

Wang et al., *MMLU-Pro* (arXiv 2406.01574). The data has 12,032 test rows and 70 worked examples to show, which are left
out; nothing to train on. So each domain's test rows are split here, by a hash of the question, and scores from it
belong in no table with published ones.
"""

import string
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ....storage.files import digest
from ..orders import MMLU_PRO, canonical
from ..records import SUFFIXES, pyarrow_for, records_of
from .finding import by_canonical_name, entries, file_start
from .layout import Layout, TaskFiles

HUB = "TIGER-Lab/MMLU-Pro"
FIELDS = ("question", "options", "answer", "category")
ROWS = 1000
"""Of a domain at most; the smaller ones have some 400."""
SHARES = {"test": 0.2, "dev": 0.1}
"""Of a domain's rows; the rest is trained on."""
LETTERS = tuple(string.ascii_uppercase[:10])
"""The answers: a question has at most ten options."""


class MMLUProLayout(Layout):
    """Rows of question, options, answer and category; each category is a task, split here into train, dev and test."""

    name = "MMLU-Pro"
    pattern = "test-*.parquet or test.json, .jsonl, in data/ or not: rows of question, options, answer and category"

    def matches(self, folder: Path) -> bool:
        """Recognised by the columns of its one table."""
        return bool(_tables(folder))

    def tasks(self, folder: Path) -> dict[str, TaskFiles]:
        paths = _tables(folder)
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


def is_domain(name: str) -> bool:
    """Say whether a task is a domain of MMLU-Pro."""
    return canonical(name) in {canonical(domain) for domains in MMLU_PRO.values() for domain in domains}


def domain_records(rows: Iterable[Mapping[str, Any]], where: Any) -> dict[str, dict[str, list[Any]]]:
    """Make each domain's splits of the rows of all domains, as records of prompt and answer.

    Which rows go where does not depend on the order in which they come.

    :return: domain → "train", "dev" and "test" → records.
    :raises ValueError: for a row that is something else; the message names it.
    """
    domains: dict[str, list[tuple[str, dict[str, str]]]] = {}
    for number, row in enumerate(rows):
        question, options, answer, domain = (row.get(name) for name in FIELDS)
        given = tuple(options) if isinstance(options, (list, tuple)) else ()
        if not all(isinstance(text, str) for text in (question, domain, *given)) or answer not in LETTERS[: len(given)]:
            raise ValueError(
                f"{where}, row {number}: expected a question, up to {len(LETTERS)} options, the letter of one of them "
                f"as answer and a category, got {dict(row)!r:.300}; copy the data again"
            )
        listed = "".join(f"{letter}. {option}\n" for letter, option in zip(LETTERS, given, strict=False))
        record = {"prompt": f"{question}\n{listed}Answer:", "answer": str(answer)}
        domains.setdefault(str(domain), []).append((digest([0, record["prompt"]]), record))
    return {domain: _split(hashed) for domain, hashed in domains.items()}


def _split(hashed: list[tuple[str, dict[str, str]]]) -> dict[str, list[Any]]:
    records = [record for _, record in sorted(hashed, key=lambda pair: pair[0])][:ROWS]
    test = round(len(records) * SHARES["test"])
    dev = test + round(len(records) * SHARES["dev"])
    return {"train": records[dev:], "dev": records[test:dev], "test": records[:test]}


def _tables(folder: Path) -> list[Path]:
    found = (path for place in ("test*", "data/test*") for path in entries(folder, place))
    return [path for path in found if path.suffix in SUFFIXES and path.is_file() and set(FIELDS) <= _columns(path)]


def _columns(path: Path) -> set[str]:
    """The columns of a table; of JSON only those that its first record shows."""
    if path.suffix == ".parquet":
        pyarrow = pyarrow_for(path)
        try:
            return set(pyarrow.parquet.read_schema(path).names)
        except (pyarrow.ArrowException, OSError):
            return set()  # reading it as another layout says what is wrong
    start = file_start(path, 4000)
    return {name for name in FIELDS if f'"{name}"' in start}
