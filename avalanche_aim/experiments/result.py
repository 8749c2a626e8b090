"""What a run is called, what it measured and what it cost. Reading one needs no training code."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..evaluation.general import General
from ..evaluation.transfer import result_matrix, summary
from ..merging.history import History
from ..storage.files import digest
from ..storage.records import record


@dataclass(frozen=True, order=True)
class Key:
    """Which run: its strategy, its order of tasks and its seed."""

    strategy: str
    order: str = ""
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.strategy}, order {self.order}, seed {self.seed}"

    @property
    def stem(self) -> str:
        """The name of the run's files; an order that lists tasks is shortened to a hash."""
        name = self.order if re.fullmatch(r"[\w-]{1,40}", self.order) else f"tasks-{digest(self.order)[:8]}"
        return f"{self.strategy}_order-{name}_seed-{self.seed}"


@dataclass
class Keyed:
    """Something about one run."""

    strategy: str
    order: str
    seed: int

    @property
    def key(self) -> Key:
        return Key(self.strategy, self.order, self.seed)


@dataclass(frozen=True)
class Cost:
    """What a run cost.

    :param minutes: training and evaluation, but for general tasks.
    :param training_minutes: training alone.
    :param iterations: training iterations; those of a memory fine-tuning are not among them.
    :param gradient_passes: examples passed through the model in training with gradient, as a multiple of those that
        plain training passes: 1 for Naive, about 2 for Replay, and for AIM with its memory fine-tuning.
    :param other_passes: the same without gradient: AIM's monitoring, MIR's search, LwF's teacher.
    :param peak_memory_mb: the highest resident memory of the process during the run (on an accelerator, of allocated
        memory), in MiB; None where the system does not tell.
    :param optimizer_steps: of the training and of memory iterations; None in runs of earlier versions, as below.
    :param memory_held: examples kept of past tasks, at most.
    :param memory_share: of past tasks' examples among all that were passed with gradient, in [0, 1].
    """

    minutes: float
    training_minutes: float
    iterations: int
    gradient_passes: float
    other_passes: float
    peak_memory_mb: float | None
    optimizer_steps: int | None = None
    memory_held: int | None = None
    memory_share: float | None = None

    @property
    def forward_passes(self) -> float:
        """Examples passed forward in training, in the unit of ``gradient_passes``, which is that of backward passes."""
        return self.gradient_passes + self.other_passes


@dataclass
class Result(Keyed):
    """What one run measured: R in percent (None where not measured), its cost, and the merges."""

    tasks: list[str]
    r: list[list[float | None]]
    cost: Cost
    label_accuracy: list[float]
    """Of the tasks with a closed label set, after the last task, in percent."""
    single: list[float] | None = None
    """The single-task references of FWT, where they were measured."""
    history: History | None = field(default=None, repr=False)
    eval_rows: list[int] | None = None
    """How many rows each task was evaluated on; runs of earlier versions do not tell."""
    general: General | None = None
    """General ability, where that was asked for."""

    @property
    def metrics(self) -> dict[str, float]:
        """OP, BWT, FWT and forgetting, as far as R has what they need."""
        return summary(result_matrix(self.r), self.single)

    @property
    def merges(self) -> int | None:
        """How often the weights were merged, or None for a strategy without history."""
        return None if self.history is None else len(self.history.merges)

    def to_dict(self) -> dict[str, Any]:
        """Return the result without its history as plain data, what is not a number as None."""
        data = {key: value for key, value in asdict(self).items() if key != "history"}
        numbers = {name: value if math.isfinite(value) else None for name, value in self.metrics.items()}
        return {**data, "metrics": numbers, "merges": self.merges}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], history: History | None = None) -> "Result":
        """Build a result from what :meth:`to_dict` returned.

        :raises ValueError: if fields are missing or unknown, or hold what no run measures.
        """
        values = {key: value for key, value in data.items() if key not in ("metrics", "merges")}
        plain = [f.name for f in fields(cls) if f.name not in ("cost", "history", "general")]
        result = record(cls, {"cost": None, **values, "history": history}, "result", plain)
        result.cost = record(Cost, values.get("cost"), "cost")
        result.general = General.of(values.get("general"))
        result._check()
        return result

    def _check(self) -> None:
        """Refuse numbers that no run measures; R's shape and last row are checked with its metrics."""
        rows, alone = self.r, self.single
        if len(self.tasks) != len(rows) or len(set(self.tasks)) != len(rows) or len(self.label_accuracy) > len(rows):
            raise ValueError(f"tasks: expected {len(rows)} different ones, one a row of r, got {self.tasks!r:.80}")
        for name, scores in (*(("r", row) for row in rows), ("single", alone), ("label_accuracy", self.label_accuracy)):
            if not all(score is None or 0.0 <= score <= 100.0 for score in scores or ()):
                raise ValueError(f"{name}: expected scores in percent, got {scores!r:.80}")
        if self.eval_rows is not None and (len(self.eval_rows) != len(rows) or min(self.eval_rows) < 1):
            raise ValueError(f"eval_rows: expected {len(rows)} numbers of 1 or more, got {self.eval_rows!r:.80}")
        if not all(number is None or 0.0 <= number < math.inf for number in asdict(self.cost).values()):
            raise ValueError(f"cost: expected finite numbers of 0 or more, got {self.cost!r:.200}")
        _ = self.metrics


def not_measured(results: Iterable[Result]) -> dict[str, str]:
    """Return the general tasks that some run could not measure, with the reason."""
    return {name: why for run in results if run.general is not None for name, why in run.general.missing.items()}


@dataclass
class Failure(Keyed):
    """A run that failed: why, in one line, and where."""

    error: str
    details: str = field(default="", repr=False)
