"""Which batches are checked to be the same on all processes."""

from typing import Any

import pytest

from avalanche_aim.distributed import rows

BATCHES = [[2 * n, 2 * n + 1] for n in range(20)]


def checked(batches: list[list[int]], monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """How many batches were drawn at each check, and what was compared."""
    found: dict[int, int] = {}
    drawn: list[int] = []

    def draw() -> Any:
        for batch in batches:
            drawn.append(batch[0])
            yield batch

    monkeypatch.setattr(
        rows, "check_same", lambda values, remedy: found.update({len(drawn): values["rows of a batch"]})
    )
    list(rows.OwnBatches(draw()))
    return found


def test_checks_grow_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(checked(BATCHES, monkeypatch)) == [1, 2, 3, 5, 9, 17]


def test_a_check_covers_all_batches_since_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    others = [list(reversed(batch)) if n == 3 else batch for n, batch in enumerate(BATCHES)]
    first, second = checked(BATCHES, monkeypatch), checked(others, monkeypatch)
    assert [n for n in first if first[n] != second[n]] == [5, 9, 17]
