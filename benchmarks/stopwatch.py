"""Where a training run's time goes, measured from outside: nothing in the package knows of it."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from types import MethodType
from typing import Any

import torch

from avalanche_aim.trainer.engine import TrainerEngine
from benchmarks.workload import plugin_of

PHASES = ("training", "monitoring", "memory", "own")


class Stopwatch:
    """Splits the time of a strategy with AIM into training, monitoring, memory fine-tuning and the plugin's own work.

    Every moment belongs to the innermost function that is timed. A pass over the memory is drawing its batch, forward,
    criterion, zeroing gradients, backward and optimizer step. All else that happens in the plugin's hooks is own work:
    random streams, modes, gradients put aside, signals, snapshots, merge arithmetic, controller, history, metrics.
    """

    def __init__(self) -> None:
        self._seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._where = ("training", "")
        self._mark = 0.0

    @contextmanager
    def on(self, strategy: Any) -> Iterator[None]:
        """Measure what happens inside.

        :param strategy: with an AIMMergingPlugin.
        """
        hooks = ("before_training_exp", "after_training_iteration", "after_training_exp")
        passes = [(strategy, "forward"), (strategy, "criterion")]
        passes += [(strategy.optimizer, "zero_grad"), (strategy.optimizer, "step")]
        with self._on(plugin_of(strategy), hooks, (strategy, "_unpack_minibatch"), passes):
            yield

    @contextmanager
    def on_trainer(self, aim: Any, trainer: Any, optimizer: type) -> Iterator[None]:
        """Measure what happens inside, in a Trainer.

        :param aim: the AIMCallback.
        :param trainer: the Trainer that it is bound to.
        :param optimizer: the class of its optimizer, which is made when training begins.
        """
        hooks = ("on_train_begin", "on_step_begin", "on_optimizer_step", "on_step_end", "on_epoch_end", "on_train_end")
        passes = [(trainer, "compute_loss"), (optimizer, "zero_grad"), (optimizer, "step")]
        with self._on(aim, hooks, (TrainerEngine, "_collated"), passes):
            yield

    @contextmanager
    def _on(self, plugin: Any, hooks: Iterable[str], batch: Any, passes: Iterable[Any]) -> Iterator[None]:
        with ExitStack() as stack:
            for hook in hooks:
                stack.enter_context(self._timed(plugin, hook, phase="own"))
            stack.enter_context(self._timed(plugin.rehearsal, "historical_loss", phase="monitoring"))
            stack.enter_context(self._timed(plugin.rehearsal, "fine_tune", phase="memory"))
            for owner, name in ((plugin.memory, "batch"), batch):
                stack.enter_context(self._timed(owner, name, part="batch"))
            for owner, name in (*passes, (torch.Tensor, "backward")):
                stack.enter_context(self._timed(owner, name, part="pass"))
            self._mark = time.perf_counter()
            yield
            self._charge()

    def seconds(self, phase: str) -> float:
        """Return the time of a phase.

        :param phase: one of :data:`PHASES`.
        """
        if phase == "own":
            return sum(s for (where, part), s in self._seconds.items() if where != "training" and not part)
        every = phase == "training"
        return sum(s for (where, part), s in self._seconds.items() if where == phase and (every or part))

    @property
    def drawing(self) -> float:
        """Of the time of monitoring and memory fine-tuning, that for drawing the batches."""
        return sum(s for (where, part), s in self._seconds.items() if where != "training" and part == "batch")

    def _charge(self) -> None:
        now = time.perf_counter()
        self._seconds[self._where] += now - self._mark
        self._mark = now

    @contextmanager
    def _timed(self, owner: Any, name: str, phase: str = "", part: str = "") -> Iterator[None]:
        function: Callable[..., Any] = getattr(owner, name)
        own = vars(owner).get(name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            outer = self._where
            self._charge()
            self._where = (phase or outer[0], part)
            try:
                return function(*args, **kwargs)
            finally:
                self._charge()
                self._where = outer

        # A bound method where there was one: torch's schedulers look at the optimizer's.
        bound = MethodType(lambda _, *args, **kwargs: timed(*args, **kwargs), owner)
        setattr(owner, name, timed if isinstance(owner, type) else bound)
        try:
            yield
        finally:
            if own is None:
                delattr(owner, name)
            else:
                setattr(owner, name, own)
