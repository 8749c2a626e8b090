"""General ability: which questions a model answers right before the stream and after its tasks.

The answers are the only stored result; every number is a function of them. They are questions that the stream does
not train on, and none of their numbers is part of OP or any other score.

A question that went from right to wrong may have been guessed right before. Of the questions that a model guesses among
k options both times, (1 − 1/k)² are wrong both times and (1/k)(1 − 1/k) go from right to wrong, and as many back. So
for each question that is wrong both times, 1/(k − 1) is subtracted. Harmon et al. (arXiv 2510.17776) count such
transitions and subtract the share of guessing likewise; this derivation is our own. docs/general.md says what it shows.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from ..storage.records import record

GENERAL_DEFINITIONS = {
    "general": "mean accuracy on the general tasks after the last task; no part of OP or any other score",
    "right → wrong": "share of the questions that are answered right before the stream and wrong after it",
    "wrong → right": "the same from wrong to right",
    "adjusted": "such a share without what guessing moves: minus 1/(k-1) for each question of k options that is wrong "
    "both times, 0 at least; a lower bound where a model keeps to its wrong answers (docs/general.md)",
}
"""What each number means."""


@dataclass(frozen=True)
class GeneralTask:
    """The answers to the questions of one task.

    :param metric: that says what is right: "acc", "acc_norm" or "exact_match".
    :param chance: the probability of guessing right, of each question, or one for all: 1/k for k options, 0 for free
        answers.
    :param after: how many tasks of the stream had been trained on at each measurement, 0 first.
    :param right: one text a measurement, with 1 for each question answered right and 0 for the others.
    """

    name: str
    metric: str
    chance: list[float]
    after: list[int]
    right: list[str]

    def __post_init__(self) -> None:
        count = len(self.right[0]) if self.right else 0
        if not count or any(len(one) != count or set(one) - set("01") for one in self.right):
            raise ValueError(f"right: expected texts of 0 and 1, of one length, got {self.right!r:.80}")
        if self.after != sorted(set(self.after)) or len(self.after) != len(self.right) or self.after[0] != 0:
            raise ValueError(
                f"after: expected a growing number for each text of right, 0 first, got {self.after!r:.80}"
            )
        if len(self.chance) not in (1, count) or not all(0.0 <= one < 1.0 for one in self.chance):
            raise ValueError(f"chance: expected one probability below 1, or {count} of them, got {self.chance!r:.80}")

    @property
    def questions(self) -> int:
        """How many there are."""
        return len(self.right[0])

    @property
    def guessed(self) -> float:
        """The accuracy of guessing, in percent."""
        return 100.0 * fmean(self.chance)

    def accuracy(self, measurement: int = -1) -> float:
        """Return the share of right answers, in percent.

        :param measurement: 0 for the one before the stream, -1 for the last.
        """
        return 100.0 * self.right[measurement].count("1") / self.questions

    @property
    def change(self) -> float:
        """Accuracy at the end minus accuracy before the stream, in points."""
        return self.accuracy() - self.accuracy(0)

    def moved(self, before: str, after: str, adjusted: bool = True) -> float:
        """Return the share of questions that went from one answer to another, in percent.

        :param before: "1" for right before the stream, "0" for wrong.
        :param adjusted: whether the expected share of guesses is subtracted; the result is then 0 at least.
        """
        chances = self.chance * (self.questions if len(self.chance) == 1 else 1)
        shares = [
            float((first, last) == (before, after)) - adjusted * (first == last == "0") * chance / (1.0 - chance)
            for first, last, chance in zip(self.right[0], self.right[-1], chances, strict=True)
        ]
        return max(0.0, 100.0 * fmean(shares))


@dataclass(frozen=True)
class General:
    """What was measured of general ability in one run.

    :param missing: why others were not, by name.
    """

    tasks: list[GeneralTask]
    missing: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Any) -> "General | None":
        """Build it from plain data.

        :param data: as ``dataclasses.asdict`` returned it, or None.
        :raises ValueError: for anything else.
        """
        if data is None:
            return None
        plain = record(cls, data, "general", [])
        missing = plain.missing if isinstance(plain.missing, dict) else {"": None}
        if not isinstance(plain.tasks, list) or not all(
            isinstance(text, str) for pair in missing.items() for text in pair
        ):
            raise ValueError(f"general: expected a list of tasks, and a reason for each missing one, got {data!r:.200}")
        return cls([record(GeneralTask, task, "general") for task in plain.tasks], missing)

    def task(self, name: str) -> GeneralTask | None:
        """Return a task by its name, or None."""
        return next((task for task in self.tasks if task.name == name), None)

    @property
    def accuracy(self) -> float | None:
        """The mean accuracy over the tasks at the end, in percent; None where none was measured."""
        return fmean(task.accuracy() for task in self.tasks) if self.tasks else None


def answers(values: Sequence[Any]) -> str:
    """Write measured answers as a text of 0 and 1.

    :raises ValueError: for anything between, which is no right or wrong answer.
    """
    numbers = [float(value) for value in values]
    if not all(number in (0.0, 1.0) for number in numbers):
        strange = next(number for number in numbers if number not in (0.0, 1.0) or math.isnan(number))
        raise ValueError(f"expected answers that are right (1) or wrong (0), got a score of {strange}")
    return "".join("1" if number else "0" for number in numbers)


def reasons(missing: Mapping[str, str]) -> str:
    """Say in one line which tasks were not measured and why."""
    return "; ".join(f"{name} ({why})" for name, why in missing.items())
