"""What a run costs: time, iterations, passes over the model, memory."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from avalanche.training.plugins import SupervisedPlugin
from torch import nn

from .result import Cost


class CostMeter(SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Measures the cost of a run.

    :param model: the model that is trained; passes through copies made of it count as well.
    :param device: where it is trained.
    """

    def __init__(self, model: nn.Module, device: str) -> None:
        super().__init__()
        self.device = torch.device(device)
        self.iterations = 0
        self._examples = examples = {"gradient": 0, "other": 0}
        self._training_seconds = 0.0
        self._peak: float | None = None
        self._began = 0.0
        _reset_peak_memory(self.device)
        self._start = time.perf_counter()
        self._training = training = [False]

        # A function, not a method: copies of the model then count into the same numbers.
        def count(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if training[0]:
                # The output is that of all processes, which pass a share of the inputs each.
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

    def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Count an iteration."""
        self.iterations += 1

    def cost(self, examples: int) -> Cost:
        """Return the cost so far.

        :param examples: that plain training passes through the model: all training examples times the epochs.
        """
        return Cost(
            minutes=(time.perf_counter() - self._start) / 60,
            training_minutes=self._training_seconds / 60,
            iterations=self.iterations,
            gradient_passes=self._examples["gradient"] / examples,
            other_passes=self._examples["other"] / examples,
            peak_memory_mb=self._peak_memory(),
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the cost so far, for the run that goes on from here in another process."""
        return {
            "seconds": time.perf_counter() - self._start,
            "training_seconds": self._trained(),
            "iterations": self.iterations,
            "examples": dict(self._examples),
            "peak": self._peak_memory(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        :param state: the state.
        """
        self._start = time.perf_counter() - state["seconds"]
        self._began, self._training_seconds = time.perf_counter(), state["training_seconds"]
        self.iterations, self._peak = state["iterations"], state["peak"]
        self._examples.update(state["examples"])

    def _trained(self) -> float:
        running = time.perf_counter() - self._began if self._training[0] else 0.0
        return self._training_seconds + running

    def _peak_memory(self) -> float | None:
        return max((peak for peak in (self._peak, _peak_memory(self.device)) if peak is not None), default=None)


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
