"""A figure: what was measured, with its spread, and the limit it must keep."""

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch

from avalanche_aim.experiments.provenance import provenance


@dataclass(frozen=True)
class Options:
    """What all figures are measured with.

    :param model: a model's name, as for ``LanguageModel.from_pretrained``.
    :param quick: fewer repetitions, to see that all works; its numbers are not to be published.
    """

    model: str
    quick: bool = False

    @property
    def is_tiny(self) -> bool:
        """Whether the model is one of the tiny random ones."""
        return self.model.startswith("tiny")

    def repeats(self, usual: int, quick: int = 3) -> int:
        """How often to measure.

        :param usual: repetitions of a real measurement.
        :param quick: of a quick one.
        """
        return quick if self.quick else usual


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    :param name: what was measured.
    :param values: one of each repetition.
    :param limit: what the median must not pass, or None where no limit was set.
    :param unit: after the numbers.
    :param at_least: whether the limit is a lower one.
    """

    name: str
    values: list[float]
    limit: float | None = None
    unit: str = ""
    at_least: bool = False

    @property
    def median(self) -> float:
        """The median of the repetitions."""
        return median(self.values)

    @property
    def reached(self) -> bool | None:
        """Whether the median keeps the limit; None without a limit."""
        if self.limit is None:
            return None
        return self.median >= self.limit if self.at_least else self.median <= self.limit

    def cells(self) -> list[str]:
        """Return name, measured value, limit and verdict as text."""
        low, middle, high = (_number(value) for value in (min(self.values), self.median, max(self.values)))
        measured = f"{middle}{self.unit} ({low} to {high}, n = {len(self.values)})"
        if self.limit is None:
            return [self.name, measured, "–", "–"]
        bound = f"{'at least' if self.at_least else 'at most'} {_number(self.limit)}{self.unit}"
        return [self.name, measured, bound, "yes" if self.reached else "**no**"]

    def to_dict(self) -> dict[str, Any]:
        """Return the figure as plain data."""
        return {**asdict(self), "median": self.median, "reached": self.reached}


def markdown(figures: Iterable[Figure]) -> str:
    """Lay figures out as a Markdown table.

    :param figures: its lines.
    """
    head = ["figure", "median (least to greatest)", "limit", "reached"]
    lines = [head, ["---"] * 4, *(figure.cells() for figure in figures)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """Say in one line on what the figures were measured."""
    origin = provenance()
    where, libraries = origin["machine"], origin["versions"]
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else where["cores"]
    return (
        f"{where['processor']}, {allowed} of {where['cores']} cores, {torch.get_num_threads()} thread(s){load}; "
        f"Python {where['python']}, " + ", ".join(f"{name} {version}" for name, version in libraries.items())
        + f"; revision {(origin['revision'] or 'unknown')[:10]}"
    )  # fmt: skip


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}"
