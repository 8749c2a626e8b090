"""Handwritten digits of 8×8 pixels, two classes in each task: a vision stream without a download."""

from collections.abc import Sequence
from itertools import zip_longest

import torch
from avalanche.benchmarks import CLScenario

from ..text.data.orders import resolve_order
from .tensors import Part, tensor_benchmark

DIGITS: dict[str, tuple[str, ...]] = {
    "ascending": ("zero-one", "two-three", "four-five", "six-seven", "eight-nine"),
    "descending": ("eight-nine", "six-seven", "four-five", "two-three", "zero-one"),
    "mixed": ("four-five", "eight-nine", "zero-one", "six-seven", "two-three"),
}
"""Orders 1 to 3."""

_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TRAIN, DEV = 0.6, 0.2
"""The shares of each class that are for training and for choices; the rest is for testing."""


def digits(
    order: int | str | Sequence[str] = 1,
    *,
    train_per_task: int | None = None,
    eval_per_task: int | None = None,
    seed: int = 0,
) -> CLScenario:
    """Build a stream of scikit-learn's digits: five tasks of two classes, ten outputs for all.

    About 215 training, 70 dev and 75 test images for each task, shape (1, 8, 8), pixels in [0, 1]. Source: UCI
    "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998), which scikit-learn ships.

    :param order: 1, 2 or 3, an order's name (:data:`DIGITS`), or a list of tasks ("zero-one", …).
    :param train_per_task: training images of each task, or None for all.
    :param eval_per_task: dev and test images of each task, or None for all.
    :return: a benchmark with ``train_stream``, ``dev_stream`` and ``test_stream``.
    :raises ValueError: for an unknown order or task, or fewer than one image.
    """
    from sklearn.datasets import load_digits

    names = resolve_order(order, DIGITS, first_number=1)
    if unknown := [name for name in names if name not in DIGITS["ascending"]]:
        raise ValueError(f"order: expected tasks of {', '.join(DIGITS['ascending'])}; got {', '.join(unknown)}")
    for name, count in (("train_per_task", train_per_task), ("eval_per_task", eval_per_task)):
        if count is not None and count < 1:
            raise ValueError(f"{name}: expected at least 1 or None for all, got {count}")
    data = load_digits()
    images, classes = torch.from_numpy(data.images).float().unsqueeze(1) / 16, data.target.tolist()
    limits = {"train": train_per_task, "dev": eval_per_task, "test": eval_per_task}
    parts: dict[str, list[Part]] = {split: [] for split in limits}
    for name in names:
        for split, rows in _rows(classes, [_NAMES.index(digit) for digit in name.split("-")], seed).items():
            kept = rows[: limits[split]]
            parts[split].append((images[kept], [classes[row] for row in kept]))
    return tensor_benchmark(names, _NAMES, parts)


def _rows(classes: Sequence[int], wanted: Sequence[int], seed: int) -> dict[str, list[int]]:
    """Choose the rows of each split; the classes take turns, so that the first few of them are even as well."""
    splits: dict[str, list[list[int]]] = {"train": [], "dev": [], "test": []}
    for digit in wanted:
        rows = [row for row, target in enumerate(classes) if target == digit]
        generator = torch.Generator().manual_seed(1000 * seed + digit)
        rows = [rows[i] for i in torch.randperm(len(rows), generator=generator).tolist()]
        first, second = int(TRAIN * len(rows)), int((TRAIN + DEV) * len(rows))
        for split, part in zip(splits, (rows[:first], rows[first:second], rows[second:]), strict=True):
            splits[split].append(part)
    return {split: [row for turn in zip_longest(*parts) for row in turn if row is not None]
            for split, parts in splits.items()}  # fmt: skip
