"""Passes over the memory through the strategy itself, so that its own forward and criterion keep their meaning."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from ..merging import MemoryFineTuning
from ..training.gradients import GradientStep
from ..training.isolation import RandomStream, eval_mode, gold_scores, kept_buffers
from ..training.out_of_memory import halving
from .memory import RehearsalMemory


class Rehearsal:
    """The two uses of the memory: the historical loss, and the memory fine-tuning.

    Neither leaves a trace outside the weights (and, for a shared optimizer state, the optimizer): random streams,
    modes, buffers, gradients and the strategy's current batch are put back.

    Where memory runs out, the historical loss is taken of half the batch from then on, and the batches of the
    fine-tuning, which stay whole, pass through the model in halves.

    :param memory: what is rehearsed.
    :param fine_tuning: how the memory iterations are taken.
    :param batch_size: examples of a memory batch: a count (int) or a share of the strategy's training batch (float).
    :param monitor_mode: the model's mode for the historical loss: "eval", or "train" to leave it as in training.
    :param seed: of the choice of batches and of dropout in these passes.
    :param monitor_batch_size: examples of the historical loss's batch, likewise; None for those of a memory batch.
    :raises ValueError: for an unknown mode or a batch size below 1.
    """

    def __init__(
        self,
        memory: RehearsalMemory,
        fine_tuning: MemoryFineTuning,
        batch_size: int | float,
        monitor_mode: str,
        seed: int,
        monitor_batch_size: int | float | None = None,
    ) -> None:
        if monitor_mode not in ("eval", "train"):
            raise ValueError(f"monitor_mode: expected 'eval' or 'train', got {monitor_mode!r}")
        monitored = batch_size if monitor_batch_size is None else monitor_batch_size
        for name, size in (("memory_batch_size", batch_size), ("monitor_batch_size", monitored)):
            if isinstance(size, float) and not 0.0 < size <= 1.0:
                raise ValueError(f"{name}: expected a share of the training batch in (0, 1], got {size}")
            if not isinstance(size, float) and (not isinstance(size, int) or size < 1):
                raise ValueError(f"{name}: expected at least 1 example, or a share of the training batch, got {size!r}")
        self.memory = memory
        self.fine_tuning = fine_tuning
        self.batch_size = batch_size
        self.monitor_batch_size = monitored
        self.monitor_in_eval = monitor_mode == "eval"
        # One stream each: how often merges happen must not change what monitoring sees.
        self._monitor_rows = torch.Generator().manual_seed(seed)
        self._merge_rows = torch.Generator().manual_seed(seed + 1)
        self._monitor_limit: int | None = None
        self._micro_batch: int | None = None
        self._monitor_noise = RandomStream(seed + 2)
        self._merge_noise = RandomStream(seed + 3)

    def historical_loss(self, strategy: Any) -> float:
        """The loss of one memory batch, without gradient.

        :param strategy: the training strategy.
        """
        with (
            self._monitor_noise.on(strategy.device),
            eval_mode(strategy.model) if self.monitor_in_eval else nullcontext(),
            gold_scores(strategy.model),
            kept_buffers(strategy.model),
            _kept_batch(strategy),
            torch.no_grad(),
        ):
            size = _examples(self.monitor_batch_size, strategy)
            batch = self.memory.batch(min(size, self._monitor_limit or size), self._monitor_rows)
            loss, fits = halving(
                lambda n: float(_loss(strategy, _first(batch, n), GradientStep.of(strategy)).detach()),
                len(batch[0]),
                "set monitor_batch_size and GradientStep(micro_batch_size=1), or shorten the examples",
            )
        if fits < len(batch[0]):
            self._monitor_limit = fits
            _tell(f"the historical loss is taken of {fits} examples instead of {len(batch[0])}")
        return loss

    def fine_tune(self, strategy: Any, weights: list[Tensor], iterations: int) -> list[float]:
        """Fine-tune on the memory, in place.

        :param strategy: the training strategy.
        :param weights: its trainable weights.
        :param iterations: optimizer steps to take.
        :return: the loss of each step, taken before it.
        """
        with (
            self._merge_noise.on(strategy.device),
            kept_buffers(strategy.model),
            _kept_batch(strategy),
        ):
            return self.fine_tuning.run(
                strategy.optimizer,
                weights,
                lambda: self._gradients(strategy, weights),
                iterations,
            )

    def _gradients(self, strategy: Any, weights: list[Tensor]) -> Tensor:
        """Draw a batch, make its gradients, and return its loss, detached."""
        batch = self.memory.batch(_examples(self.batch_size, strategy), self._merge_rows)
        own = GradientStep.of(strategy)
        size = min(self._micro_batch or own.micro_batch_size or len(batch[0]), len(batch[0]))

        def attempt(micro_batch: int) -> Tensor:
            for weight in weights:  # what a failed attempt left
                weight.grad = None
            step = GradientStep(micro_batch, scaler=own.scaler)
            loss = _loss(strategy, batch, step)
            step.backward(strategy, loss)
            return loss.detach()

        remedy = "use gradient_checkpointing=True, or shorten the examples"
        loss, fits = halving(attempt, size, remedy)
        if fits < size:
            self._micro_batch = fits
            _tell(f"memory batches pass through the model in micro-batches of {fits} examples")
        return loss

    def state_dict(self, weights: list[Tensor]) -> dict[str, Any]:
        """Return where the random streams are, and the fine-tuning's own moments; the memory has its own state.

        :param weights: the trainable weights.
        """
        return {
            "monitor_rows": self._monitor_rows.get_state(),
            "merge_rows": self._merge_rows.get_state(),
            "monitor_noise": self._monitor_noise.state_dict(),
            "merge_noise": self._merge_noise.state_dict(),
            "limits": [self._monitor_limit, self._micro_batch],
            "fine_tuning": self.fine_tuning.state_dict(weights),
        }

    def load_state_dict(self, state: dict[str, Any], weights: list[Tensor]) -> None:
        """Restore what :meth:`state_dict` returned.

        :param state: the state.
        :param weights: the trainable weights; none before training has begun.
        """
        self._monitor_rows.set_state(state["monitor_rows"])
        self._merge_rows.set_state(state["merge_rows"])
        self._monitor_noise.load_state_dict(state["monitor_noise"])
        self._merge_noise.load_state_dict(state["merge_noise"])
        self._monitor_limit, self._micro_batch = state["limits"]
        self.fine_tuning.load_state_dict(state["fine_tuning"], weights)


def _examples(size: int | float, strategy: Any) -> int:
    """How many examples a batch of the memory has."""
    return max(1, round(size * strategy.train_mb_size)) if isinstance(size, float) else size


def _loss(strategy: Any, batch: Any, step: GradientStep) -> Tensor:
    strategy.mbatch = batch
    strategy._unpack_minibatch()
    return step.loss(strategy)


def _first(batch: Any, size: int) -> Any:
    """The first examples of a batch, which itself stays whole."""
    return batch if len(batch[0]) == size else [field[:size] for field in batch]


def _tell(what: str) -> None:
    warnings.warn(f"AIMMerging: memory ran out; from now on {what}", stacklevel=4)


@contextmanager
def _kept_batch(strategy: Any) -> Iterator[None]:
    """Put the training batch, its output and its loss back."""
    kept = strategy.mbatch, strategy.mb_output, strategy.loss
    try:
        yield
    finally:
        strategy.mbatch, strategy.mb_output, strategy.loss = kept
