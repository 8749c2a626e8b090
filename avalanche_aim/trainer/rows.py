"""Rows of a Trainer's data set, as the rehearsal memory takes and keeps them."""

from collections.abc import Sequence
from typing import Any

from torch.utils.data import IterableDataset


class Rows:
    """Rows that are collated by the Trainer that trains when they are rehearsed.

    A batch of them is one field, the list of its rows, since each task's collator pads and masks in its own way.

    :param rows: anything with a length whose rows are had by number.
    :param targets: a number for each label, to balance the memory over; None for no labels.
    """

    def __init__(self, rows: Any, targets: Sequence[int] | None = None) -> None:
        self.rows = rows
        if targets is not None:
            self.targets = targets

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> Any:
        return self.rows[number]

    def subset(self, numbers: Sequence[int]) -> "Rows":
        """Load some rows."""
        return Rows([self.rows[number] for number in numbers])

    def concat(self, other: "Rows") -> "Rows":
        """Put rows behind these."""
        return Rows([*self.rows, *other.rows])

    @staticmethod
    def collate_fn(rows: list[Any]) -> list[list[Any]]:
        """Make a batch."""
        return [rows]


def check_numbered(dataset: Any) -> None:
    """Refuse, with a ValueError, a data set without numbered rows: none could be kept for the memory."""
    numbered = hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")
    if not numbered or isinstance(dataset, IterableDataset):
        raise ValueError(
            f"AIMCallback: expected a train_dataset whose rows have numbers, to keep some of them for the memory, got "
            f"{type(dataset).__name__}, which can only be iterated over; make it a list or a datasets.Dataset, or "
            "merge without a memory: AIMCallback(rehearsal=None)"
        )


def label_numbers(dataset: Any, column: str | None) -> list[int] | None:
    """Number the labels of a data set, one for each row.

    :param dataset: the data set that a Trainer was given, before it removes columns.
    :raises ValueError: if there is no such column.
    """
    columns = getattr(dataset, "column_names", None)
    if column is None:
        column = next((c for c in ("label", "labels") if c in (columns or ()) and _is_label(dataset, c)), None)
        if column is None:
            return None
    elif columns is not None and column not in columns:
        raise ValueError(f"label_column: expected one of the columns {', '.join(columns)}, got {column!r}")
    try:
        values = dataset.with_format(None)[column] if columns is not None else [row[column] for row in dataset]
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(
            f"label_column: expected rows with {column!r} in a {type(dataset).__name__}, got {error!r:.200}; use a "
            "datasets.Dataset, or leave label_column out to keep rows at random"
        ) from error
    numbers: dict[str, int] = {}
    return [numbers.setdefault(repr(value), len(numbers)) for value in values]


def _is_label(dataset: Any, column: str) -> bool:
    return len(dataset) > 0 and isinstance(dataset.with_format(None)[0][column], bool | int | str)
