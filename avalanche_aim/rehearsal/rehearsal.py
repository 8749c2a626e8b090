"""Passes over the memory through the training's own forward and criterion."""

import math
import warnings
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Any, Literal

import torch
from torch import Tensor

from ..merging import Engine
from ..merging.rehearsal_plan import Per, RehearsalPlan
from ..merging.task_vectors import cosine, whole
from ..training.isolation import RandomStream, eval_mode, kept_buffers, stream_seed
from ..training.out_of_memory import halving
from .fine_tuning import MemoryFineTuning, MemoryOptimizer, kept_gradients

STREAMS = ("monitored", "rehearsed", "held out", "compared")
"""What rows are drawn for. One stream each: how often merges happen must not change what monitoring sees."""


class Rehearsal:
    """What is rehearsed, how much of it, and how: the historical loss and the memory fine-tuning.

    Its passes leave no trace outside the weights (and, for a shared optimizer state, the optimizer): random streams,
    modes, buffers, gradients and the training's current batch are put back. A rehearsal of your own overrides
    :meth:`penalty`, say, or :meth:`start`; one that keeps state extends :meth:`state_dict` and :meth:`load_state_dict`.

    Where memory runs out, the historical loss is taken of half the batch from then on, and the batches of the
    fine-tuning, which stay whole, pass through the model in halves.

    :param memory: what is rehearsed, a :class:`~avalanche_aim.RehearsalMemory` or anything with ``__len__``,
        ``selected`` and ``batch``; None for the plugin's own.
    :param ratio: memory iterations, for each of what ``per`` names (1.0 in the paper).
    :param per: "passed", "planned", "merge" or "straight": see :class:`~avalanche_aim.merging.RehearsalPlan`.
    :param optimizer: whose optimizer state fine-tunes on the memory: "shared", "fresh" or "own".
    :param lr_factor: the learning rates of memory iterations, as a multiple of the training's.
    :param max_grad_norm: the gradient norm at which memory iterations are clipped; None for none.
    :param batch_size: examples of a memory batch: a count (int) or a share of the training batch (float in (0, 1]).
    :param monitor: the model's mode for the historical loss: "eval", or "train" to leave it as in training.
    :param monitor_every: iterations from one historical loss to the next; every interval has one at least.
    :param monitor_batch_size: examples of its batch, likewise; those of a memory batch by default.
    :param relax_below: while the last historical loss was below this share of the threshold, the next one waits twice
        as long; 0 for never.
    :param hold_out: the share of the memory's rows of each experience that are kept but never rehearsed, for the
        held-out loss.
    :param seed: of the choice of batches and of dropout in these passes; the plugin's by default.
    :raises ValueError: for a setting out of range; the message says what was expected.
    """

    def __init__(
        self,
        memory: Any = None,
        *,
        ratio: float = 1.0,
        per: Per = "passed",
        optimizer: MemoryOptimizer = "own",
        lr_factor: float = 1.0,
        max_grad_norm: float | None = None,
        batch_size: int | float = 1.0,
        monitor: Literal["eval", "train"] = "eval",
        monitor_every: int = 1,
        monitor_batch_size: int | float | None = None,
        relax_below: float = 0.0,
        hold_out: float = 0.0,
        seed: int | None = None,
    ) -> None:
        if monitor not in ("eval", "train"):
            raise ValueError(f"monitor: expected 'eval' or 'train', got {monitor!r}")
        monitored = batch_size if monitor_batch_size is None else monitor_batch_size
        for name, size in (("batch_size", batch_size), ("monitor_batch_size", monitored)):
            if isinstance(size, float) and not 0.0 < size <= 1.0:
                raise ValueError(f"{name}: expected a share of the training batch in (0, 1], got {size}")
            if not isinstance(size, float) and (not isinstance(size, int) or size < 1):
                raise ValueError(f"{name}: expected at least 1 example, or a share of the training batch, got {size!r}")
        if not 0.0 <= hold_out < 1.0:
            raise ValueError(f"hold_out: expected a share of the memory in [0, 1), got {hold_out}")
        self.memory = memory
        self.plan = RehearsalPlan(ratio, per, monitor_every, relax_below)
        self.fine_tuning = MemoryFineTuning(optimizer, math.inf if max_grad_norm is None else max_grad_norm, lr_factor)
        self.batch_size = batch_size
        self.monitor_batch_size = monitored
        self.monitor = monitor
        self.hold_out = hold_out
        self.seed = seed
        self._rows: dict[str, torch.Generator] = {}
        self._noise: dict[str, RandomStream] = {}
        self.measures_cosine = False
        """Whether a part needs :attr:`rehearsed_cosine`."""
        self.rehearsed_cosine = 0.0
        """cos(g_task, g_memory) of the first memory batch of the last fine-tuning; 0 before any."""
        self._monitor_limit: int | None = None
        self._micro_batch: int | None = None

    def prepare(self, memory: Any, seed: int) -> None:
        """Take what the plugin has for it, once.

        :param memory: what is rehearsed, where it has no memory of its own.
        :param seed: of its streams, where it has no seed of its own.
        :raises ValueError: if it was given to another plugin before.
        """
        if self._rows:
            raise ValueError("rehearsal: expected an object of its own for each plugin, got one that is in use already")
        self.memory = memory if self.memory is None else self.memory
        seed = seed if self.seed is None else self.seed
        for name in STREAMS:
            self._rows[name] = torch.Generator().manual_seed(stream_seed(seed, f"rows {name}"))
            self._noise[name] = RandomStream(stream_seed(seed, f"noise {name}"))

    def start(self, weights: Sequence[Tensor]) -> None:
        """An experience begins, with weights as the past ones have left them; nothing to do here."""

    def penalty(self, weights: Sequence[Tensor]) -> Tensor | None:
        """What is added to the loss of a memory iteration, with gradient; None for nothing."""
        return None

    def historical_loss(self, engine: Engine) -> float:
        """The loss of one memory batch, without gradient."""
        return self._watched_loss(engine, "monitored", self.places()[0])

    def held_out_loss(self, engine: Engine) -> float:
        """The loss of one batch of rows that are never rehearsed, without gradient; a ValueError if there are none."""
        rows = self.places()[1]
        if not rows:
            raise ValueError(f"held_out_loss: expected rows that are held out, got none of {len(self.memory)} with "
                             f"hold_out={self.hold_out}; give Rehearsal a larger share or memory")  # fmt: skip
        return self._watched_loss(engine, "held out", rows)

    def fine_tune(self, engine: Engine, weights: list[Tensor], iterations: int) -> list[float]:
        """Fine-tune on the memory, in place; returns the loss of each step, taken before it, without the penalty."""
        training: list[Tensor | None] | None = [w.grad for w in weights] if self.measures_cosine else None

        def gradients() -> Tensor:
            nonlocal training
            loss = self._gradients(engine, weights, "rehearsed")
            if training is not None:
                self.rehearsed_cosine = cosine(training, [w.grad for w in weights])
                training = None
            return loss

        with self._noise["rehearsed"].on(engine.device), kept_buffers(engine.model), engine.kept():
            return self.fine_tuning.run(engine.optimizer, weights, gradients, iterations)

    def gradient_cosine(self, engine: Engine, weights: list[Tensor]) -> float:
        """The cosine between the training batch's gradient and that of a memory batch."""
        training = [w.grad for w in weights]
        with (
            self._noise["compared"].on(engine.device),
            kept_buffers(engine.model),
            engine.kept(),
            kept_gradients(weights),
        ):
            self._gradients(engine, weights, "compared")
            return cosine(training, [w.grad for w in weights])

    def drop_non_finite(self) -> None:
        """Forget own optimizer moments that are not finite."""
        self.fine_tuning.drop_non_finite()

    def places(self) -> tuple[Sequence[int], Sequence[int]]:
        """Return the memory's rows that are rehearsed, and those held out."""
        if not self.hold_out:
            return range(len(self.memory)), ()
        held: set[int] = set()
        first = 0
        for rows in self.memory.selected:
            held.update(first + place for place in self.held_places(len(rows), round(self.hold_out * len(rows))))
            first += len(rows)
        return [row for row in range(first) if row not in held], sorted(held)

    def held_places(self, rows: int, count: int) -> Iterable[int]:
        """Choose which ``count`` of an experience's rows are held out: some that are spread evenly over it."""
        return ((2 * i + 1) * rows // (2 * count) for i in range(count))

    def state_dict(self, weights: list[Tensor]) -> dict[str, Any]:
        """Return where the random streams are, and the fine-tuning's own moments; the memory has its own state."""
        return {
            "rows": {name: generator.get_state() for name, generator in self._rows.items()},
            "noise": {name: stream.state_dict() for name, stream in self._noise.items()},
            "limits": [self._monitor_limit, self._micro_batch],
            "rehearsed_cosine": self.rehearsed_cosine,
            "fine_tuning": self.fine_tuning.state_dict(weights),
        }

    def load_state_dict(self, state: dict[str, Any], weights: list[Tensor]) -> None:
        """Restore what :meth:`state_dict` returned; before training has begun there are no weights."""
        for name in STREAMS:
            self._rows[name].set_state(state["rows"][name])
            self._noise[name].load_state_dict(state["noise"][name])
        self._monitor_limit, self._micro_batch = state["limits"]
        self.rehearsed_cosine = state["rehearsed_cosine"]
        self.fine_tuning.load_state_dict(state["fine_tuning"], weights)

    def _watched_loss(self, engine: Engine, stream: str, rows: Sequence[int]) -> float:
        with (
            self._noise[stream].on(engine.device),
            eval_mode(engine.model) if self.monitor == "eval" else nullcontext(),
            getattr(engine.model, "gold_scores", nullcontext)(),  # a memory batch mixes tasks: not all labels of them
            kept_buffers(engine.model),
            engine.kept(),
            torch.no_grad(),
        ):
            size = _examples(self.monitor_batch_size, engine)
            batch = self.memory.batch(min(size, self._monitor_limit or size), self._rows[stream], rows)
            loss, fits = halving(
                lambda n: float(engine.loss(_first(batch, n), engine.at_once).detach()),
                len(batch[0]),
                "set monitor_batch_size and GradientStep(micro_batch_size=1), or shorten the examples",
            )
        if fits < len(batch[0]):
            self._monitor_limit = fits
            _tell(f"the historical loss is taken of {fits} examples instead of {len(batch[0])}")
        return loss

    def _gradients(self, engine: Engine, weights: list[Tensor], stream: str) -> Tensor:
        """Draw a batch, make its gradients, and return its loss, detached and without the penalty."""
        batch = self.memory.batch(_examples(self.batch_size, engine), self._rows[stream], self.places()[0])
        size = min(self._micro_batch or engine.at_once or len(batch[0]), len(batch[0]))

        def attempt(at_once: int) -> Tensor:
            for weight in weights:  # what a failed attempt left
                weight.grad = None
            loss = engine.loss(batch, at_once)
            penalty = self.penalty(weights) if stream == "rehearsed" else None
            engine.backward(loss if penalty is None else loss + whole(penalty))
            return loss.detach()

        loss, fits = halving(attempt, size, "use gradient_checkpointing=True, or shorten the examples")
        if fits < size:
            self._micro_batch = fits
            _tell(f"memory batches pass through the model in micro-batches of {fits} examples")
        return loss


def _examples(size: int | float, engine: Engine) -> int:
    """How many examples a batch of the memory has."""
    return max(1, round(size * engine.batch_size)) if isinstance(size, float) else size


def _first(batch: Any, size: int) -> Any:
    """The first examples of a batch, which itself stays whole."""
    return batch if len(batch[0]) == size else [field[:size] for field in batch]


def _tell(what: str) -> None:
    warnings.warn(f"AIMMerging: memory ran out; from now on {what}", stacklevel=4)
