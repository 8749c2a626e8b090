"""What a report is made from: the runs of one folder, and which strategy is the baseline."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import inf
from pathlib import Path

from ..experiments.result import Failure, Key, Result, not_measured
from ..experiments.store import Origin, RunStore
from .quantities import (
    COSTS,
    GENERAL,
    LABEL_ACCURACY,
    METRICS,
    OP,
    TRAINING_MINUTES,
    Quantity,
    general_quantities,
    task_score,
)
from .statistics import Difference, Run, Spread, paired_difference

BASELINE = "naive"
REFERENCES = ("joint", "cumulative")
"""Strategies that train on all the data of past tasks: bounds to compare with, not contenders."""


@dataclass(frozen=True)
class Report:
    """The runs of a comparison and what follows from them.

    :param origins: what each was asked for, and where it ran.
    :param baseline: what the others are compared with, or None.
    :param own: metrics of a user's own.
    """

    results: Sequence[Result]
    failures: Sequence[Failure]
    origins: Sequence[Origin]
    baseline: str | None
    folder: Path
    own: Sequence[Quantity] = ()

    @classmethod
    def read(cls, folder: Path, baseline: str | None = None, own: Sequence[Quantity] = ()) -> "Report":
        """Read the folder of a comparison, finished or not.

        :param baseline: a strategy with finished runs; :data:`BASELINE` by default, if there.
        :param own: metrics of a user's own, :func:`~avalanche_aim.report.quantities.own_metrics`.
        :raises ValueError: for a baseline without finished runs, or a damaged file.
        :raises FileNotFoundError: if there is no run.
        """
        runs = RunStore(folder).read()
        results = [run for run, _ in runs if isinstance(run, Result)]
        failures = [run for run, _ in runs if isinstance(run, Failure)]
        finished = list(dict.fromkeys(result.strategy for result in results))
        if baseline is None:
            baseline = BASELINE if BASELINE in finished else None
        elif baseline not in finished:
            raise ValueError(f"baseline: expected a strategy with finished runs ({', '.join(finished) or 'none'}), "
                             f"got {baseline!r}")  # fmt: skip
        return cls(results, failures, [origin for _, origin in runs], baseline, folder, own)

    @cached_property
    def strategies(self) -> list[str]:
        """Those with finished runs, the highest mean OP first."""
        return sorted({run.strategy for run in self.results}, key=lambda name: (-self._mean(name, OP), name))

    @cached_property
    def orders(self) -> list[str]:
        """Those of the finished runs."""
        return sorted({result.order for result in self.results})

    @cached_property
    def tasks(self) -> list[str]:
        """The tasks of all orders, as the first order has them."""
        runs = sorted(self.results, key=lambda result: result.order)
        return list(dict.fromkeys(task for result in runs for task in result.tasks))

    def tasks_of(self, order: str) -> list[str]:
        """Return the tasks of an order, in its sequence."""
        return next(result.tasks for result in self.results if result.order == order)

    def counted(self, task: str) -> str:
        """Return a task's name with the number of its evaluated rows, where the runs tell it."""
        counts = {run.eval_rows[run.tasks.index(task)] for run in self.results
                  if run.eval_rows and task in run.tasks}  # fmt: skip
        return f"{task} (n = {', '.join(map(str, sorted(counts)))})" if counts else task

    @property
    def never_merged(self) -> list[Result]:
        """The runs of merging strategies whose weights were never merged."""
        return [run for run in self.results if run.history and not any(m.merged for m in run.history.merges)]

    @property
    def missing(self) -> list[Key]:
        """The runs that neither finished nor failed, though others have that order and seed."""
        ended = {run.key for run in [*self.results, *self.failures]}
        parts = ({getattr(key, name) for key in ended} for name in ("strategy", "order", "seed"))
        return sorted({Key(*parts) for parts in product(*parts)} - ended)

    @property
    def quantities(self) -> list[Quantity]:
        """Everything a run is described by."""
        general = [quantity for name in self.general_tasks for quantity in general_quantities(name)]
        scores = [*METRICS, *self.own, LABEL_ACCURACY, *map(task_score, self.tasks)]
        return [*scores, GENERAL, *general, *COSTS, TRAINING_MINUTES]

    @cached_property
    def general_tasks(self) -> list[str]:
        """The general tasks that any run has measured."""
        found = (task.name for run in self.results if run.general is not None for task in run.general.tasks)
        return list(dict.fromkeys(found))

    @cached_property
    def not_measured(self) -> dict[str, str]:
        """The general tasks that some run could not measure, with the reason."""
        return not_measured(self.results)

    def runs(self, strategy: str, order: str | None = None) -> list[Result]:
        """Return the finished runs of a strategy, by order and seed."""
        runs = [r for r in self.results if r.strategy == strategy and order in (None, r.order)]
        return sorted(runs, key=lambda run: (run.order, run.seed))

    def values(self, strategy: str, quantity: Quantity) -> dict[Run, float]:
        """Return a quantity of each run that has it, by order and seed."""
        pairs = (((run.order, run.seed), quantity.value(run)) for run in self.runs(strategy))
        return {key: value for key, value in pairs if value is not None}

    def spread(self, strategy: str, quantity: Quantity) -> Spread | None:
        """Return mean and deviation over orders and seeds."""
        return Spread.of(list(self.values(strategy, quantity).values()))

    def difference(self, strategy: str, quantity: Quantity) -> Difference | None:
        """Return the difference to the baseline.

        :return: None without a baseline, for the baseline itself, and where the two share no run.
        """
        if self.baseline in (None, strategy):
            return None
        return paired_difference(self.values(strategy, quantity), self.values(str(self.baseline), quantity))

    def has(self, quantity: Quantity) -> bool:
        """Say whether any run has a quantity."""
        return any(quantity.value(result) is not None for result in self.results)

    @property
    def asks_general(self) -> bool:
        """Whether general ability was asked for in any run."""
        return any(run.general is not None for run in self.results)

    def _mean(self, strategy: str, quantity: Quantity) -> float:
        spread = self.spread(strategy, quantity)
        return -inf if spread is None else spread.mean
