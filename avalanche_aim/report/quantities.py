"""What a report says of each run: scores and costs, each with its meaning, and metrics of a user's own."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import entry_points
from math import isfinite
from operator import attrgetter
from pathlib import Path
from runpy import run_path
from statistics import fmean

from ..evaluation.general import GENERAL_DEFINITIONS, GeneralTask
from ..evaluation.transfer import DEFINITIONS
from ..experiments.result import Result
from ..experiments.store import SCORE


@dataclass(frozen=True)
class Quantity:
    """One number of a run.

    :param name: as it is shown.
    :param unit: of the number, "" for a count.
    :param meaning: its definition.
    :param digits: shown after the point.
    :param of: takes it from a result; None where the run has none.
    """

    name: str
    unit: str
    meaning: str
    digits: int
    of: Callable[[Result], float | None]

    def value(self, result: Result) -> float | None:
        """Return the number of a run, None where it has none.

        :raises ValueError: if it cannot be taken from the run.
        """
        try:
            number = self.of(result)
            return float(number) if number is not None and isfinite(number) else None
        except Exception as error:
            raise ValueError(f"metric {self.name!r} of {result.key}: expected a number or None, got "
                             f"{type(error).__name__}: {error}") from error  # fmt: skip


def _metric(name: str) -> Quantity:
    return Quantity(name, "points", DEFINITIONS[name], 1, lambda result: result.metrics.get(name))


def _cost(name: str, unit: str, digits: int, attribute: str, meaning: str) -> Quantity:
    return Quantity(name, unit, meaning, digits, attrgetter(f"cost.{attribute}"))


METRICS = tuple(map(_metric, DEFINITIONS))
"""OP, BWT, FWT and Forgetting, all from R."""
OP = METRICS[0]
MINUTES = _cost("minutes", "min", 2, "minutes", "training and evaluation, wall clock; general tasks apart")
TRAINING_MINUTES = _cost("training minutes", "min", 2, "training_minutes", "training alone, wall clock")
LABEL_ACCURACY = Quantity(
    "label acc.", "%",
    "mean over the tasks with a closed label set of how often the gold label is the most probable one of its task, "
    "after the last task", 1,
    lambda result: fmean(result.label_accuracy) if result.label_accuracy else None,
)  # fmt: skip
COSTS = (
    MINUTES,
    _cost("iterations", "", 0, "iterations", "training iterations; a memory fine-tuning's are not among them"),
    _cost("optimizer steps", "", 0, "optimizer_steps", "steps of the optimizer, those of memory iterations too"),
    _cost("backward passes", "", 2, "gradient_passes",
          "examples passed through the model in training with gradient, as a multiple of plain training's"),
    _cost("forward passes", "", 2, "forward_passes",
          "the same with those without gradient: AIM's monitoring, MIR's search, LwF's teacher"),
    _cost("memory held", "", 0, "memory_held", "examples kept of past tasks, at most"),
    _cost("memory share", "", 3, "memory_share", "of past tasks' examples among those passed with gradient"),
    _cost("peak MiB", "MiB", 0, "peak_memory_mb",
          "highest resident memory of the process during the run; on an accelerator, of allocated memory"),
    Quantity("merges", "", "how often the weights were merged", 0, lambda result: result.merges),
)  # fmt: skip


def task_score(task: str) -> Quantity:
    """Return the score on one task after the last: R[T-1][j]."""

    def of(result: Result) -> float | None:
        return result.r[-1][result.tasks.index(task)] if task in result.tasks else None

    return Quantity(f"score of {task}", "%", f"score on {task} after the last task; {SCORE}", 1, of)


GENERAL = Quantity(
    "general", "%", GENERAL_DEFINITIONS["general"], 1,
    lambda result: None if result.general is None else result.general.accuracy,
)  # fmt: skip


def general_quantities(name: str) -> list[Quantity]:
    """Return what is shown of one general task: accuracy before and after, its change, and what moved either way."""

    def quantity(part: str, unit: str, meaning: str, of: Callable[[GeneralTask], float]) -> Quantity:
        def value(result: Result) -> float | None:
            task = None if result.general is None else result.general.task(name)
            return None if task is None else of(task)

        return Quantity(f"{name} {part}", unit, meaning, 1, value)

    lost, gained = "right → wrong", "wrong → right"
    return [
        quantity("before", "%", "accuracy before the stream", lambda task: task.accuracy(0)),
        quantity("after", "%", "accuracy after the last task", GeneralTask.accuracy),
        quantity("change", "points", "accuracy after the last task minus before the stream", lambda task: task.change),
        quantity(lost, "%", GENERAL_DEFINITIONS[lost], lambda task: task.moved("1", "0", adjusted=False)),
        quantity(f"{lost} adjusted", "%", GENERAL_DEFINITIONS["adjusted"], lambda task: task.moved("1", "0")),
        quantity(gained, "%", GENERAL_DEFINITIONS[gained], lambda task: task.moved("0", "1", adjusted=False)),
        quantity(f"{gained} adjusted", "%", GENERAL_DEFINITIONS["adjusted"], lambda task: task.moved("0", "1")),
    ]


GROUP = "avalanche_aim.metrics"
"""Entry points of installed packages: each is a :class:`Quantity` that every report shows."""


def own_metrics(files: Iterable[Path] = ()) -> list[Quantity]:
    """Return a user's own metrics: those of installed packages, and those of files.

    :param files: Python files; each :class:`Quantity` that stands in one by name is taken.
    :raises ValueError: for something else than a quantity, a name that is taken, or a file without any.
    """
    found = [(f"entry point {point.name} of {GROUP}", point.load()) for point in entry_points(group=GROUP)]
    for file in files:
        if not file.is_file():
            raise ValueError(f"metrics: expected a Python file, got {file}")
        quantities = [value for value in run_path(str(file)).values() if isinstance(value, Quantity)]
        if not quantities:
            raise ValueError(f"metrics: expected a file that defines a Quantity by name, got {file}")
        found += [(str(file), quantity) for quantity in quantities]
    taken = {quantity.name for quantity in (*METRICS, LABEL_ACCURACY, GENERAL, *COSTS, TRAINING_MINUTES)}
    for where, quantity in found:
        if not isinstance(quantity, Quantity):
            raise ValueError(f"{where}: expected a Quantity, got {quantity!r:.80}")
        if quantity.name in taken:
            raise ValueError(f"{where}: expected a name of its own, got {quantity.name!r}, which is taken")
        taken.add(quantity.name)
    return [quantity for _, quantity in found]
