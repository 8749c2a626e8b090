"""A whole comparison: strategies × orders × seeds, resumable run by run."""

import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from avalanche.benchmarks import CLScenario

from ..checkpoint import CheckpointFolder, CheckpointPlugin
from ..distributed import is_main_process, local_main_process_first, on_main_process, world_size
from ..storage.files import locked
from ..training.out_of_memory import free_memory
from .configuration import Configuration
from .general import GeneralTasks
from .loggers import check_loggers, loggers
from .models import KINDS, checked_benchmark, kind_of, save_trained
from .progress import progress_bar
from .result import Failure, Key, Result
from .runner import batch_of_process, examples_of, run
from .single_task import single_task_scores
from .store import RunStore
from .where import one_line


@dataclass(frozen=True)
class Checkpoints:
    """When an unfinished run is saved, besides the beginning and the end of each task.

    :param every: iterations from one checkpoint to the next, or None not to count them.
    :param minutes: from one checkpoint to the next, or None for no time.
    :raises ValueError: for an interval that is not positive.
    """

    every: int | None = None
    minutes: float | None = 10.0

    def __post_init__(self) -> None:
        CheckpointPlugin(".", self.every, self.minutes)


EVERY_10_MINUTES = Checkpoints()

Executor = Callable[["Comparison", list[Key], Any], list[Key]]
"""Makes runs, with a progress bar; returns those that other commands are making, in the same order."""


def one_after_the_other(comparison: "Comparison", keys: list[Key], bar: Any) -> list[Key]:
    """Make runs in this process: the default :data:`Executor`."""
    labels = {key: f"{number}/{len(keys)} {key}" for number, key in enumerate(keys, start=1)}
    return [key for key in keys if not comparison.claim_and_run(key, bar, labels[key])]


class Comparison:
    """Runs what is not finished yet; every run that ends is on disk at once.

    A run that was interrupted goes on from its last checkpoint, or starts over where its strategy has none
    (docs/reliability.md), and gives the same result. One that fails is recorded, tried again the next time, and does
    not stop the others. What can't be written (the disk is full) is kept in memory and tried again after each run.
    Everything that can be checked is checked here, before training starts.

    Other commands may work in the same folder at the same time, also on other machines that see it: each run is made by
    the one that comes to it first.

    Several processes (:mod:`avalanche_aim.distributed`) share every run out; the first one keeps the folder. A run that
    fails then ends the comparison, since it may have failed in one of them alone.

    :raises ValueError: for malformed data, an unknown order and the like, and if the folder holds finished runs with
        other settings.
    """

    def __init__(self, configuration: Configuration, folder: Path, checkpoints: Checkpoints = EVERY_10_MINUTES) -> None:
        self.configuration = configuration
        self.checkpoints = checkpoints
        self.store = RunStore(folder, defaults=type(configuration)().of_run(""))
        batch_of_process(configuration.batch_size)
        check_loggers(configuration.log)
        self.ended: dict[Key, Result | Failure | None] = on_main_process(self._finished)
        self.streams: dict[str, CLScenario] = {}
        self.problems: list[str] = []
        """What could not be written, in one line each."""
        self.elsewhere: list[Key] = []
        """What other commands were still making in this folder when :meth:`run` ended."""
        self.unsaved: dict[Key, Result | Failure] = {}
        """What has ended and could not be written yet."""
        self.references: dict[tuple[int, str], list[float]] = {}
        """The score of each task trained on alone, by seed and order, once they are measured for FWT."""
        self._kind: Any = None
        self._general: GeneralTasks | None = None
        if self._pending():
            with local_main_process_first():
                if configuration.general:
                    self._general = GeneralTasks(
                        configuration.general, configuration.general_limit, configuration.general_every
                    )
                self._kind = KINDS[kind_of(configuration.model)](configuration)
                for order in configuration.orders:
                    self.streams[order] = checked_benchmark(self._kind, order, configuration.stream)
        folder.mkdir(parents=True, exist_ok=True)
        if configuration.choices is not None and is_main_process():
            configuration.choices.write(folder / "tuned.json")

    @property
    def results(self) -> list[Result]:
        """What is finished, by seed, order and strategy."""
        return [ended for ended in self.ended.values() if isinstance(ended, Result)]

    @property
    def failures(self) -> list[Failure]:
        """What failed this time."""
        return [ended for ended in self.ended.values() if isinstance(ended, Failure)]

    def run(self, progress: bool = True, executor: Executor = one_after_the_other) -> None:
        """Run all that is pending.

        :param executor: makes the runs, such as :class:`~avalanche_aim.experiments.cluster.RayCluster`; by default
            this process does, one after the other.
        """
        pending = self._pending()
        bar = progress_bar(sum(self.examples(key) for key in pending), progress and bool(pending))
        try:
            waiting: list[Key] = []
            while pending != waiting:  # once more those that others had claimed, as long as some of them are left
                waiting = pending
                pending = executor(self, waiting, bar)
        finally:
            bar.close()
        self.elsewhere = pending
        self.problems += [f"{key} is not saved" for key in self.unsaved]
        if is_main_process() and (self.results or self.failures):
            try:
                self.store.write_summary(self.configuration.plain())
            except (OSError, ValueError) as error:  # a file of another run that is damaged by now
                self.problems.append(f"results.json is not written: {error}")

    def claim_and_run(self, key: Key, bar: Any, label: str) -> bool:
        """Run what nobody else is making.

        :param bar: the progress bar, which it moves by :meth:`examples`.
        :return: whether it has ended; else another command is making it.
        """
        lock = self.store.runs / f"{key.stem}.lock"
        with ExitStack() as stack:
            ours = on_main_process(lambda: stack.enter_context(locked(lock, wait=False)))
            if ours:
                end = bar.n + self.examples(key)
                if self._still_to_run(key):
                    self.end(key, self._attempt(key, bar, label), bar)
                bar.update(end - bar.n)
                if is_main_process() and isinstance(self.ended[key], Result) and key not in self.unsaved:
                    with suppress(OSError):  # nobody will make it again
                        lock.unlink(missing_ok=True)
        return ours

    def _still_to_run(self, key: Key) -> bool:
        """Take a run that another command has finished since this one began; returns whether it is left to run."""
        if self.ended[key] is None:
            self.ended[key], problem = on_main_process(lambda: self._found(key))
            if problem:
                self.problems.append(problem)
                return False
        return self._is_pending(key)

    def end(self, key: Key, ended: Result | Failure, bar: Any) -> None:
        """Keep how a run has ended."""
        self.ended[key] = ended
        if is_main_process():
            self.unsaved[key] = ended
            self.save(bar)
        if isinstance(ended, Failure):
            bar.write(f"{key} failed: {ended.error}")
            free_memory()

    def save(self, bar: Any) -> None:
        """Write what has ended; what can't be written waits for the next time."""
        for key, ended in list(self.unsaved.items()):
            if isinstance(ended, Failure) and (made := self._found(key)[0]):
                self.ended[key] = made  # by another command since
                del self.unsaved[key]
                continue
            try:
                self.store.save(ended, self.configuration.of_run(key.strategy))
            except OSError as error:
                bar.write(f"{key} can't be saved ({error}); it is in memory alone, and tried again after each further "
                          "run: make room")  # fmt: skip
            else:
                del self.unsaved[key]
                if isinstance(ended, Result):
                    self._remove_checkpoints(key)

    def _keep(self, model: Any, result: Result) -> None:
        """Save a run's model; a run whose model can't be saved has its result all the same."""
        if not is_main_process():
            return
        try:
            save_trained(model, result, self.configuration.of_run(result.strategy), self.store.folder)
        except (OSError, ValueError) as error:
            self.problems.append(f"the model of {result.key} is not saved: {error}")

    def _attempt(self, key: Key, bar: Any, label: str) -> Result | Failure:
        stream, place = self.streams[key.order], (key.seed, key.order)
        model = self._kind.model(key.seed, stream)
        if self.configuration.fwt and place not in self.references:
            # Outside the try: without its references no run of this seed can be what was asked for.
            self.references[place] = self.measure_alone(*place, progress=not bar.disable)
        single = self.references.get(place)
        finished = self.ended[key]
        if isinstance(finished, Result):
            finished.single = single
            return finished
        settings = self.configuration.for_run(key.strategy)
        options = settings.options.get(key.strategy)
        keep = self._keep if self.configuration.save_models else None
        try:
            asked = self.configuration.of_run(key.strategy)
            with loggers(settings.log, self.store.folder / "logs", key, asked) as made:
                return run(key, model, stream, settings, options=options, single=single, bar=bar, label=label,
                           keep=keep, checkpoint=self._checkpoint(key), loggers=made,
                           general=self._general)  # fmt: skip
        except Exception as error:
            if world_size() > 1:
                raise
            return Failure(key.strategy, key.order, key.seed, one_line(error), traceback.format_exc())

    def measure_alone(
        self, seed: int, order: str, tasks: Sequence[int] | None = None, progress: bool = False
    ) -> list[float]:
        """Measure what tasks score when they are trained on alone.

        :param tasks: their places in the order; all by default.
        """
        stream = self.streams[order]
        model = self._kind.model(seed, stream)
        return single_task_scores(model, stream, self.configuration, seed, progress=progress, tasks=tasks)

    def _checkpoint(self, key: Key) -> CheckpointPlugin:
        about = {**self.configuration.of_run(key.strategy), "run": key.strategy, "order": key.order, "seed": key.seed}
        every, minutes = self.checkpoints.every, self.checkpoints.minutes
        return CheckpointPlugin(self.store.checkpoints(key), every, minutes, about=about)

    def _remove_checkpoints(self, key: Key) -> None:
        folder = CheckpointFolder(self.store.checkpoints(key))
        folder.remove()
        with suppress(OSError):  # not empty, as long as other runs are unfinished
            folder.path.parent.rmdir()

    def _finished(self) -> dict[Key, Result | Failure | None]:
        """What is on disk of all that is to be run."""
        configuration = self.configuration
        self.store.check(configuration.shared())
        runs = product(configuration.seeds, configuration.orders, configuration.strategies)
        keys = [Key(strategy, order, seed) for seed, order, strategy in runs]
        return {key: self._on_disk(key) for key in keys}

    def _on_disk(self, key: Key) -> Result | None:
        return self.store.finished(key, self.configuration.of_run(key.strategy))

    def _found(self, key: Key) -> tuple[Result | None, str]:
        try:
            return self._on_disk(key), ""
        except (ValueError, OSError) as error:
            return None, str(error)

    def _pending(self) -> list[Key]:
        return [key for key in self.ended if self._is_pending(key)]

    def _is_pending(self, key: Key) -> bool:
        """Whether a run is not finished, or lacks the references that are asked for now."""
        ended = self.ended[key]
        return not isinstance(ended, Result) or (self.configuration.fwt and ended.single is None)

    def examples(self, key: Key) -> int:
        """Return how many examples a run still has to train on and evaluate."""
        finished = isinstance(self.ended[key], Result)
        return 0 if finished else examples_of(self.streams[key.order], self.configuration)
