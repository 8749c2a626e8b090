"""What a run costs: time, iterations, passes over the model, memory; and training that stops at what is allowed."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from avalanche.training.plugins import SupervisedPlugin
from avalanche.training.storage_policy import ExemplarsBuffer
from torch import nn

from ..checkpoint.buffers import Rows
from ..distributed import DataParallel, is_main_process, summed
from ..merging.state import Stateful
from .result import Cost


class CostMeter(SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Measures the cost of a run.

    :param model: the model that is trained; passes through copies made of it count as well.
    """

    def __init__(self, model: nn.Module, device: str) -> None:
        super().__init__()
        self.device = torch.device(device)
        self.iterations = self.optimizer_steps = self.memory_held = 0
        self.examples = examples = {"gradient": 0, "other": 0, "new": 0.0}
        """Passed in training, by this process, with gradient and without; and the current task's own, by all."""
        self._hook: Any = None
        self._training_seconds = 0.0
        self._peak: float | None = None
        self._began = 0.0
        self._new = 0
        _reset_peak_memory(self.device)
        self._start = time.perf_counter()
        self._training = training = [False]
        self._parallel = parallel = [DataParallel()]

        # A function, not a method: copies of the model then count into the same numbers.
        def count(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            rows = parallel[0].rows
            if training[0] and (rows is None or rows.count):
                examples["gradient" if torch.is_grad_enabled() else "other"] += len(output)

        model.register_forward_hook(count)

    @contextmanager
    def training(self) -> Iterator[None]:
        """Count what happens inside as training."""
        self._began = time.perf_counter()
        self._training[0] = True
        try:
            yield
        finally:
            self._training_seconds = self._trained()
            self._training[0] = False

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Leave the time inside out."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._start += time.perf_counter() - began

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Count the steps of the optimizer, those on the memory too."""
        self._parallel[0] = DataParallel.of(strategy)
        if self._hook is None:
            self._hook = strategy.optimizer.register_step_post_hook(self._count_step)

    def before_training_epoch(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """See what is held of past tasks, and what is new; by now every plugin has made its data ready."""
        self._new = _new(strategy)
        self.memory_held = max(self.memory_held, _held(strategy))

    def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.iterations += 1
        # Whatever a batch is mixed of, an epoch passes each of the task's own examples once.
        self.examples["new"] += self._new / len(strategy.dataloader)

    def _count_step(self, *args: Any) -> None:
        self.optimizer_steps += 1

    def cost(self, examples: int) -> Cost:
        """Return the cost so far.

        :param examples: that plain training passes through the model: all training examples times the epochs.
        """
        return Cost(
            minutes=(time.perf_counter() - self._start) / 60,
            training_minutes=self._training_seconds / 60,
            iterations=self.iterations,
            gradient_passes=self.passed("gradient") / examples,
            other_passes=self.passed("other") / examples,
            peak_memory_mb=self._peak_memory(),
            optimizer_steps=self.optimizer_steps,
            memory_held=self.memory_held,
            memory_share=max(0.0, 1 - self.examples["new"] / max(1, self.passed("gradient"))),
        )

    def passed(self, kind: str) -> float:
        """Return how many examples all processes have passed in training.

        :param kind: "gradient" or "other", with gradient or without.
        """
        return summed(self.examples[kind])

    def state_dict(self) -> dict[str, Any]:
        """Return the cost so far, for the run that goes on from here in another process."""
        return {
            "seconds": time.perf_counter() - self._start,
            "training_seconds": self._trained(),
            "counts": [self.iterations, self.optimizer_steps, self.memory_held],
            "examples": {**self.examples, "gradient": self.passed("gradient"), "other": self.passed("other")},
            "peak": self._peak_memory(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._start = time.perf_counter() - state["seconds"]
        self._began, self._training_seconds = time.perf_counter(), state["training_seconds"]
        self.iterations, self.optimizer_steps, self.memory_held = state["counts"]
        self._peak = state["peak"]
        passed = state["examples"] if is_main_process() else {"new": state["examples"]["new"]}
        self.examples.update({"gradient": 0, "other": 0, **passed})

    def _trained(self) -> float:
        running = time.perf_counter() - self._began if self._training[0] else 0.0
        return self._training_seconds + running

    def _peak_memory(self) -> float | None:
        return max((peak for peak in (self._peak, _peak_memory(self.device)) if peak is not None), default=None)


class EqualBudget(Stateful, SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Ends each task at as many optimizer steps, or passes with gradient, as plain training has in it.

    A strategy that spends some of them on the memory then sees fewer new examples. What an iteration has begun it
    finishes, and a merge with its memory iterations belongs to the iteration. What a task takes too much, the next one
    has less, so that the whole stream meets the budget to within one merge.

    :param kind: "steps", or "passes" (examples passed with gradient).
    :param meter: counts them; it is to come before this plugin.
    """

    STATE = ("end",)

    def __init__(self, kind: str, meter: CostMeter) -> None:
        super().__init__()
        self.kind = kind
        self._meter = meter
        self.end = 0.0

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        examples = _own(strategy)
        allowed = examples if self.kind == "passes" else math.ceil(examples / strategy.train_mb_size)
        self.end = min(self.end or self._spent(), self._spent()) + strategy.train_epochs * allowed

    def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        if self._spent() >= self.end:
            strategy.stop_training()

    def _spent(self) -> float:
        return self._meter.optimizer_steps if self.kind == "steps" else self._meter.passed("gradient")


def _own(strategy: Any) -> int:
    """How many examples the current task has itself; all of them where a strategy trains on the whole stream."""
    return len(getattr(strategy.experience, "dataset", strategy.adapted_dataset))


def _new(strategy: Any) -> int:
    """How many of the task's own examples are trained on; not all where a buffer takes the data's place (GDumb)."""
    own = _own(strategy)
    if len(strategy.adapted_dataset) >= own:
        return own
    rows = Rows(strategy.experience.origin_stream)
    names = set(rows.names(strategy.experience.dataset))
    return sum(name in names for name in rows.names(strategy.adapted_dataset))


def _held(strategy: Any) -> int:
    """How many examples are kept of past tasks, in buffers of any kind or in the data that is trained on."""
    owners = [strategy, *strategy.plugins]
    kept = {id(b): len(b.buffer) for owner in owners for b in vars(owner).values() if isinstance(b, ExemplarsBuffer)}
    buffers = [part for owner in owners for part in getattr(owner, "buffers", ())]  # A-GEM
    tensors = [part for owner in owners for part in getattr(owner, "memory_x", {}).values()]  # GEM
    return max(sum(kept.values()) + sum(map(len, [*buffers, *tensors])), len(strategy.adapted_dataset) - _own(strategy))


def _reset_peak_memory(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # Linux: the high-water mark starts anew (man 5 proc)


def _peak_memory(device: torch.device) -> float | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), None)
