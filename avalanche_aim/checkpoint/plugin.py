"""Saving a run between two iterations, and resuming it there."""

import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from avalanche.benchmarks.scenarios.online import OnlineCLExperience
from avalanche.models.utils import avalanche_model_adaptation
from avalanche.training.plugins import SupervisedPlugin
from avalanche.training.templates.base_sgd import PeriodicEval

from ..distributed import DataParallel, barrier, broadcast, is_main_process
from ..storage.versions import versions
from ..training.data_order import DataOrder, OrderedLoader
from . import shards
from . import state as training
from .buffers import Rows, experiences
from .folder import Checkpoint, CheckpointFolder
from .identity import differences, fingerprint, identity, refuse_another_run
from .signals import Signals, ended

_NO_MORE = object()


class CheckpointPlugin(SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Saves a run every so often, and resumes it at any iteration, with the same result to the bit.

    The script is the same for a run that begins and for one that resumes::

        checkpoint = CheckpointPlugin("checkpoints", minutes=5)
        strategy = Naive(..., plugins=[AIMMergingPlugin(), checkpoint])
        for experience in checkpoint.resume(strategy, benchmark.train_stream):
            strategy.train(experience)
            strategy.eval(benchmark.test_stream)

    A checkpoint holds what training depends on: trainable weights, buffers, optimizer, schedule, random streams, the
    place in the data order, the clock, plugins and metrics, and which rows of the stream are rehearsed, but neither
    data nor frozen weights; so the script must build the same model and stream again. It is a file of ``torch.save``,
    read with ``weights_only=True``, which runs no code; sharded weights are a folder of
    ``torch.distributed.checkpoint`` beside it. Another number of processes may resume the run, to rounding. Besides the
    times asked for, the beginning and the end of each experience's iterations are saved, but for those of online
    streams.

    Plugins with ``state_dict`` and ``load_state_dict(state)`` are saved by these; Avalanche's clock, evaluation, EWC,
    LwF and replay are known, and its Cumulative strategy. Any other is refused before training.

    :param folder: where the run's checkpoints are kept, and nothing else; made if need be.
    :param every: iterations from one checkpoint to the next; None not to count them.
    :param minutes: from one checkpoint to the next; None for no time.
    :param keep: how many are kept.
    :param on_signals: whether to save on SIGTERM and Ctrl-C before the next batch, and then end: with
        :class:`~avalanche_aim.checkpoint.Terminated`, a ``SystemExit`` of status 143, or with a ``KeyboardInterrupt``.
    :param seed: of the data order, where the strategy has no :class:`~avalanche_aim.DataOrder`: the loader must draw
        from a stream of its own, or its place could not be found again.
    :param about: plain data that says which run this is; another one's checkpoints are refused.
    :raises ValueError: for an interval that is not positive, or no checkpoint to keep.
    """

    def __init__(
        self,
        folder: Path | str,
        every: int | None = None,
        minutes: float | None = 10.0,
        keep: int = 2,
        *,
        on_signals: bool = True,
        seed: int = 0,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        for name, interval in (("every", every), ("minutes", minutes)):
            if interval is not None and not interval > 0:
                raise ValueError(f"{name}: expected a positive number or None, got {interval!r}")
        self.folder = CheckpointFolder(folder, keep)
        self.every = every
        self.minutes = minutes
        self.seed = seed
        self.about = dict(about or {})
        self._signals = Signals(on_signals)
        self._stream: list[Any] = []
        self._number: int | None = None
        self._identity: dict[str, Any] = {}
        self._frozen: frozenset[str] = frozenset()
        self._rows = Rows([])
        self._evaluated: list[list[Any]] = []
        self._from: Checkpoint | None = None
        self._silenced: tuple[bool, int] | None = None
        self._iterations = 0
        self._time = time.monotonic()
        self._warned: set[str] = set()

    def resume(self, strategy: Any, stream: Iterable[Any]) -> Iterator[Any]:
        """Yield the experiences that are still to be trained on: all of them, where there is no checkpoint.

        The first one may be half trained; ``strategy.train`` then resumes in its middle.

        :param strategy: the strategy, fresh, with this plugin.
        :param stream: what ``strategy.train`` is to be given in turn: experiences, or whole streams.
        :raises ValueError: for a strategy with state that can't be kept, checkpoints of another run, or none that is
            whole.
        """
        self._stream = list(stream)
        self._check(strategy)
        if DataOrder.of(strategy) is None:
            strategy.plugins.insert(int(isinstance(strategy.plugins[0], DataParallel)), DataOrder(self.seed))
        self._identity = identity(strategy, self._stream, self.about, [self])
        self._frozen = training.frozen_weights(strategy.model)
        self._rows = Rows(experience for item in self._stream for experience in experiences(item))
        self._from = self.folder.newest()
        barrier()  # or the first process might remove what another is still reading
        first = 0 if self._from is None else self._prepare(strategy, self._from)
        try:
            for number in range(first, len(self._stream)):
                self._number = number
                yield self._stream[number]
        finally:
            self._number = None

    def before_training_epoch(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Take the loader over; by now a replay plugin has its own in place."""
        if self._number is None:
            raise ValueError("expected training inside `for experience in checkpoint.resume(strategy, stream)`, which "
                             "says what a checkpoint is to resume")  # fmt: skip
        if self._silenced is not None:
            strategy.evaluator.active, _periodic(strategy).eval_every = self._silenced
            self._silenced = None
        loader, order = strategy.dataloader, DataOrder.of(strategy)
        assert order is not None
        if not isinstance(loader, _SavingLoader):
            inner = loader.loader if isinstance(loader, OrderedLoader) else loader
            strategy.dataloader = _SavingLoader(inner, order, strategy, self)

    def before_eval_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Remember what the model was adapted to in evaluation, where heads may grow as well."""
        experience = strategy.experience
        with suppress(AttributeError):  # an experience of no stream
            place = [experience.origin_stream.name, experience.current_experience]
            if place not in self._evaluated:
                self._evaluated.append(place)

    def batches(self, strategy: Any, loader: "_SavingLoader") -> Iterator[Any]:
        """Yield an epoch's batches, or what is left of it. A checkpoint is what is there right before one is used."""
        epoch, origin = strategy.clock.train_exp_epochs, self._from
        state = None if origin is None else origin.state(strategy.device)
        if state is not None and epoch < state["epoch"]:
            self._silence(strategy)
            return
        with self._signals.watch():
            done = 0
            if origin is not None and state is not None:
                with origin.understood():
                    loader.order.stream.load_state_dict(state["epoch_start"])
            ordered = loader.ordered()
            if state is not None:
                done = sum(1 for _ in islice(ordered, state["batch"]))
            while True:
                # The batch is drawn first, so that one knows whether there is one; its order is in the checkpoint.
                batch = next(ordered, _NO_MORE)
                if origin is not None and state is not None:
                    self._check_place(strategy, batch, state)
                    self._give(strategy, origin, state)
                    self._from = origin = state = None
                    self._restart_interval()
                    saved = True
                elif saved := broadcast(self._is_due(strategy, epoch, done, batch is _NO_MORE)):  # clocks differ
                    self._save(strategy, epoch, done, batch, loader.order)
                if got := broadcast(self._signals.got):
                    if not saved:  # it has come since
                        self._save(strategy, epoch, done, batch, loader.order)
                    raise ended(got, f"experience {self._number}, epoch {epoch}, batch {done}, in {self.folder.path}")
                if batch is _NO_MORE:
                    return
                self._iterations += 1
                yield batch
                done += 1

    def _check(self, strategy: Any) -> None:
        if self not in strategy.plugins:
            raise ValueError("expected this plugin among the strategy's: Naive(..., plugins=[..., checkpoint])")
        if problem := problem_with_strategy(strategy):
            raise ValueError(problem)
        used = strategy.clock.train_iterations or any(map(len, training.rehearsal_memories(strategy)))
        if used:
            raise ValueError("expected a fresh strategy with empty memories, got one that has been trained; a run "
                             "begins and resumes with a new one")  # fmt: skip

    def _prepare(self, strategy: Any, checkpoint: Checkpoint) -> int:
        """Make a fresh strategy one that can be given the state, and give it; returns where it was."""
        with checkpoint.understood():
            state = checkpoint.state(strategy.device)
            different = list(differences({**state["identity"]}, self._identity))
        refuse_another_run(different, self.folder.path)
        with checkpoint.understood():
            number = _count(state, "experience", len(self._stream))
            _count(state, "epoch", strategy.train_epochs)
            _count(state, "batch")
            if not isinstance(state["next"], str):
                raise ValueError(f"next: expected a batch's checksum, got {state['next']!r:.80}")
            self._evaluated = [[str(name), int(place)] for name, place in state["evaluated"]]
        if checkpoint.versions != versions():
            warnings.warn(f"{checkpoint.path} was written with {checkpoint.versions}, this is {versions()}: the run "
                          "resumes, but perhaps not to the same bits", stacklevel=3)  # fmt: skip
        _adapt(strategy, self._stream[: number + 1], self._evaluated)
        training.accumulate(strategy, self._stream[:number])
        # What comes before the first batch is done again and needs this: a replay plugin its memory, say.
        self._number = number
        self._give(strategy, checkpoint, state)
        _periodic(strategy).do_initial = False
        return number

    def _is_due(self, strategy: Any, epoch: int, done: int, ended: bool) -> bool:
        borders = not isinstance(strategy.experience, OnlineCLExperience)  # an online stream would save all the time
        first = borders and epoch == done == 0
        last = borders and ended and epoch == strategy.train_epochs - 1
        counted = self.every is not None and self._iterations >= self.every
        waited = self.minutes is not None and time.monotonic() - self._time >= 60 * self.minutes
        return first or last or counted or waited or self._signals.got is not None

    def _check_place(self, strategy: Any, batch: Any, state: dict[str, Any]) -> None:
        """Refuse another batch than the one that was next: what follows would be another run."""
        if fingerprint(strategy, batch) != state["next"]:
            raise ValueError(
                f"{self.folder.path}: expected the data loader to come to the same batch again, got another one: "
                "either the data has changed, or the loader draws from a generator of its own; it must draw from the "
                "global random streams, in whose place DataOrder puts one"
            )

    def _save(self, strategy: Any, epoch: int, done: int, batch: Any, order: DataOrder) -> None:
        number = self._number
        assert number is not None
        state = {
            "identity": self._identity,
            "experience": number,
            "epoch": epoch,
            "batch": done,
            "next": fingerprint(strategy, batch),
            "epoch_start": order.epoch_start.state_dict(),
            "evaluated": self._evaluated,
            **training.take(strategy, self._frozen, self._rows, [self]),
        }
        plain, parts = shards.split(state)
        iteration = strategy.clock.train_exp_iterations
        try:
            if parts:
                shards.save(parts, self.folder.shards(number, iteration))
            if is_main_process():
                self.folder.save(plain, number, iteration)
        except OSError as error:
            reason = error.strerror or str(error)
            if reason not in self._warned:
                self._warned.add(reason)
                warnings.warn(f"no checkpoint could be written to {self.folder.path} ({reason}); training continues, "
                              "earlier ones are kept, and it is tried again (said once)", stacklevel=2)  # fmt: skip
        self._restart_interval()

    def _give(self, strategy: Any, checkpoint: Checkpoint, state: dict[str, Any]) -> None:
        with checkpoint.understood():
            state = shards.joined(state, checkpoint.shards, strategy.model)
            training.give(strategy, state, self._stream[: self._number], self._rows, [self])

    def _restart_interval(self) -> None:
        self._iterations, self._time = 0, time.monotonic()

    def _silence(self, strategy: Any) -> None:
        """Let an epoch that is only passed over neither be measured nor evaluated, until the next one begins."""
        periodic = _periodic(strategy)
        self._silenced = strategy.evaluator.active, periodic.eval_every
        strategy.evaluator.active, periodic.eval_every = False, -1


class _SavingLoader(OrderedLoader):
    """The training data loader, with a checkpoint plugin that looks on."""

    def __init__(self, loader: Any, order: DataOrder, strategy: Any, checkpoint: CheckpointPlugin) -> None:
        super().__init__(loader, order, strategy.device)
        self.strategy = strategy
        self.checkpoint = checkpoint

    def __iter__(self) -> Iterator[Any]:
        return self.checkpoint.batches(self.strategy, self)

    def ordered(self) -> Iterator[Any]:
        """Yield the batches, and do nothing else."""
        return super().__iter__()


def problem_with_strategy(strategy: Any) -> str | None:
    """Say why a strategy can't be saved and resumed, or None if it can."""
    others = [plugin for plugin in strategy.plugins if not isinstance(plugin, CheckpointPlugin)]
    return training.problem_with(strategy, others)


def _count(state: Mapping[str, Any], name: str, end: int = sys.maxsize) -> int:
    count: Any = state[name]
    if type(count) is not int or not 0 <= count < end:
        raise ValueError(f"{name}: expected a whole number from 0 to {end - 1}, got {count!r:.80}")
    return count


def _adapt(strategy: Any, trained: Iterable[Any], evaluated: Iterable[list[Any]]) -> None:
    """Let a fresh model grow as it had grown, and the optimizer with it."""
    seen = [experience for item in trained for experience in experiences(item)]
    for name, number in evaluated:
        with suppress(AttributeError, KeyError, IndexError):
            seen.append(seen[0].origin_stream.benchmark.streams[name][number])
    strategy.make_optimizer(reset_optimizer_state=True)
    for experience in seen:
        avalanche_model_adaptation(strategy.model, experience)
    strategy.model.to(strategy.device)
    strategy.make_optimizer()


def _periodic(strategy: Any) -> PeriodicEval:
    return next(plugin for plugin in strategy.plugins if isinstance(plugin, PeriodicEval))
