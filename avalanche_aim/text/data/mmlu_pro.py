"""MMLU-Pro as a stream: its fourteen domains, each a task of multiple choice.

Wang et al., *MMLU-Pro* (arXiv 2406.01574). The data has 12,032 test rows and 70 worked examples to show, which are left
out; nothing to train on. So each domain's test rows are split here, by a hash of the question, and scores from it
belong in no table with published ones.
"""

import string
from collections.abc import Iterable, Mapping
from typing import Any

from ...storage.files import digest
from .orders import canonical

HUB = "TIGER-Lab/MMLU-Pro"
DOMAINS = (
    *("biology", "business", "chemistry", "computer science", "economics", "engineering", "health", "history", "law"),
    *("math", "other", "philosophy", "physics", "psychology"),
)
"""As the field ``category`` has them."""
FIELDS = ("question", "options", "answer", "category")
ROWS = 1000
"""Of a domain at most; the smaller ones have some 400."""
SHARES = {"test": 0.2, "dev": 0.1}
"""Of a domain's rows; the rest is trained on."""
LETTERS = tuple(string.ascii_uppercase[:10])
"""The answers: a question has at most ten options."""


def is_domain(name: str) -> bool:
    """Say whether a task is a domain of MMLU-Pro."""
    return canonical(name) in {canonical(domain) for domain in DOMAINS}


def domain_records(rows: Iterable[Mapping[str, Any]], where: Any, seed: int = 0) -> dict[str, dict[str, list[Any]]]:
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
        domains.setdefault(str(domain), []).append((digest([seed, record["prompt"]]), record))
    return {domain: _split(hashed) for domain, hashed in domains.items()}


def _split(hashed: list[tuple[str, dict[str, str]]]) -> dict[str, list[Any]]:
    records = [record for _, record in sorted(hashed, key=lambda pair: pair[0])][:ROWS]
    test = round(len(records) * SHARES["test"])
    dev = test + round(len(records) * SHARES["dev"])
    return {"train": records[dev:], "dev": records[test:dev], "test": records[:test]}
