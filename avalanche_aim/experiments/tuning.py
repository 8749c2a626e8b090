"""Choosing a learning rate and one setting of its own for each strategy, on dev data, with equally many runs for all.

Each trial is a :class:`~avalanche_aim.experiments.Comparison` in a folder of its own. So an interrupted tuning goes on
with the runs that are missing, and several commands in one folder share them out.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from .comparison import EVERY_10_MINUTES, Checkpoints, Comparison, Executor, one_after_the_other
from .configuration import Configuration
from .strategies import strategy
from .tuned import Choice, Trial, Tuned

WAIT_SECONDS = 2.0
FILE = "tuned.json"
TRIED = 2
"""Values of a strategy's own setting that are tried beside its default."""

Options = Mapping[str, dict[str, Any]]


class Tuning:
    """Tunes the strategies of a configuration.

    First all try the same learning rates. As long as one of them does best at an edge, the grid grows there by one, for
    all. Then each tries two more values: of the setting that it names for this (``Strategy.own``) at its best rate,
    or, where it names none, learning rates half-way to the neighbours of the best. What has the highest mean OP over
    orders and seeds is chosen.

    :param configuration: what to tune; its stream is to be "dev", and its learning rate is not used.
    :param folder: where runs are kept, and the result, ``tuned.json``.
    :param rates: the learning rates; by default half, once and twice the configuration's.
    :param own: whether the second step is taken.
    :param extend: how often the grid may grow.
    :raises ValueError: for an empty grid, a rate that is not positive, a stream other than "dev", or general tasks.
    """

    def __init__(
        self,
        configuration: Configuration,
        folder: Path,
        rates: Sequence[float] | None = None,
        own: bool = True,
        extend: int = 3,
        checkpoints: Checkpoints = EVERY_10_MINUTES,
        executor: Executor = one_after_the_other,
    ) -> None:
        base = configuration.learning_rate
        chosen = [base / 2, base, base * 2] if rates is None else sorted(set(rates))
        if not chosen or not all(isinstance(r, (int, float)) and 0 < r < math.inf for r in chosen):
            raise ValueError(f"learning_rates: expected one or more positive numbers, got {list(rates or ())!r:.200}")
        if configuration.stream != "dev":
            raise ValueError(
                f"stream: expected dev, since choices must not look at test data; got {configuration.stream}"
            )
        if configuration.general:
            raise ValueError("general: expected none in tuning, which does not look at it; name tasks in run --tuned")
        if extend < 0:
            raise ValueError(f"extend: expected 0 or more, got {extend}")
        self.configuration, self.folder, self.checkpoints = configuration, folder, checkpoints
        self.rates = [float(rate) for rate in chosen]
        self.own, self.extend, self.executor = own, extend, executor
        self.trials: dict[str, list[Trial]] = {name: [] for name in configuration.strategies}
        self.problems: list[str] = []

    def run(self, progress: bool = True, tell: Callable[[str], None] = lambda line: None) -> Tuned:
        """Make all runs that are missing, and choose.

        :raises ValueError: if every trial of a strategy failed.
        """
        names = self.configuration.strategies
        self._try([(rate, {name: {} for name in names}, "") for rate in self.rates], progress, tell)
        for _ in range(self.extend):
            at = ", ".join(name for name in names if self._at_edge(name))
            added = self._further()
            if not added:
                break
            tell(f"{at}: best at the edge of the grid; it grows by {', '.join(f'{rate:g}' for rate in added)}")
            self._try([(rate, {name: {} for name in names}, "") for rate in added], progress, tell)
        if self.own:
            self._try(self._alternatives(), progress, tell)
        choices = {}
        for name in names:
            best = self._best(name)
            choices[name] = Choice(best.learning_rate, best.options, self._at_edge(name), self.trials[name])
        tuned = Tuned(
            self.configuration.shared(), list(self.configuration.orders), list(self.configuration.seeds), choices
        )
        tuned.write(self.folder / FILE)
        return tuned

    def _try(self, trials: Sequence[tuple[float, Options, str]], progress: bool, tell: Callable[[str], None]) -> None:
        """Run trials: first all that nobody else is making, then what others have made meanwhile."""
        made = [self._compare(*trial, progress, tell) for trial in trials]
        for trial, comparison in zip(trials, made, strict=True):
            ended = comparison
            while ended.elsewhere:
                time.sleep(WAIT_SECONDS)
                ended = self._compare(*trial, progress, lambda line: None)
            self._take(*trial, ended)

    def _compare(
        self, rate: float, options: Options, mark: str, progress: bool, tell: Callable[[str], None]
    ) -> Comparison:
        tell(f"learning rate {rate:g}{mark}: {', '.join(options)}")
        given = self.configuration.options
        merged = {name: {**own, **given.get(name, {})} for name, own in options.items()}
        asked = replace(
            self.configuration,
            learning_rate=rate,
            strategies=tuple(options),
            options={name: chosen for name, chosen in merged.items() if chosen},
        )
        comparison = Comparison(asked, self.folder / f"learning_rate-{rate:g}{mark}", self.checkpoints)
        comparison.run(progress, self.executor)
        self.problems += comparison.problems
        return comparison

    def _take(self, rate: float, options: Options, mark: str, comparison: Comparison) -> None:
        for name, own in options.items():
            ops = [result.metrics["OP"] for result in comparison.results if result.strategy == name]
            failed = any(failure.strategy == name for failure in comparison.failures)
            op = None if failed or not ops else fmean(ops)
            self.trials[name].append(Trial(rate, dict(own), op, len(ops)))

    def _best(self, name: str) -> Trial:
        finished = [trial for trial in self.trials[name] if trial.op is not None]
        if not finished:
            raise ValueError(f"{name}: expected a trial that succeeds, got {len(self.trials[name])} that failed "
                             f"({self.folder} says why); lower the learning rates")  # fmt: skip
        return max(finished, key=lambda trial: (trial.op, -trial.learning_rate))

    def _at_edge(self, name: str) -> bool:
        tried = [trial.learning_rate for trial in self.trials[name]]
        return self._best(name).learning_rate in (min(tried), max(tried))

    def _further(self) -> list[float]:
        """Let the grid grow where a strategy does best at an edge; returns the new rates."""
        best = {self._best(name).learning_rate for name in self.configuration.strategies}
        low, high = self.rates[0], self.rates[-1]
        added = [low / self._ratio(0)] * (low in best) + [high * self._ratio(-1)] * (high in best)
        added = [float(f"{rate:.3g}") for rate in added]
        self.rates = sorted([*self.rates, *added])
        return added

    def _ratio(self, end: int) -> float:
        if len(self.rates) == 1:
            return 2.0
        return self.rates[1] / self.rates[0] if end == 0 else self.rates[-1] / self.rates[-2]

    def _alternatives(self) -> list[tuple[float, Options, str]]:
        """Two more trials for each strategy; those that fit into one comparison together."""
        trials: dict[tuple[float, str], dict[str, dict[str, Any]]] = defaultdict(dict)
        for name in self.configuration.strategies:
            rate, own = self._best(name).learning_rate, strategy(name).own
            if own is not None and own[0] not in self.configuration.options.get(name, {}):
                for number, value in enumerate(own[1][:TRIED], start=1):
                    trials[rate, f"-own-{number}"][name] = {own[0]: value}
            else:
                place = self.rates.index(rate)
                below, above = self._ratio(0), self._ratio(-1)
                if place > 0:
                    below = rate / self.rates[place - 1]
                if place < len(self.rates) - 1:
                    above = self.rates[place + 1] / rate
                for finer in (rate / math.sqrt(below), rate * math.sqrt(above)):
                    trials[float(f"{finer:.3g}"), ""][name] = {}
        return [(rate, options, mark) for (rate, mark), options in trials.items()]
