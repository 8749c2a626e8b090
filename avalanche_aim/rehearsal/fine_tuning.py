"""Whose optimizer state fine-tunes on the memory: the training's, none, or one of its own.

The published code uses the training optimizer as it stands, so that early in a task its momentum, built on the
new task, dominates the "memory" update: with the memory's gradients set to zero, cos(τ_new, τ_past) was still
0.98 (measured on that code with a tiny T5). Hence a named choice.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..merging.rollback import drop_non_finite
from ..merging.task_vectors import whole

MemoryOptimizer = Literal["shared", "fresh", "own"]


class MemoryFineTuning:
    """Takes optimizer steps on memory batches.

    The training optimizer itself takes the steps, at its current learning rates or a multiple of them; what changes is
    the state (moments, step counts) that it sees:

    - ``shared``: the training's own, which the steps change too (the published code);
    - ``fresh``: empty at every merge, and discarded after it;
    - ``own``: kept from merge to merge, apart from the training's.

    :param state: one of those names.
    :param max_grad_norm: the gradient norm to clip at, or infinity for no clipping.
    :param lr_factor: the steps' learning rates, as a multiple of the training's; fewer steps need longer ones.
    :raises ValueError: for an unknown name, or a norm or a factor that is not positive.
    """

    def __init__(self, state: MemoryOptimizer = "own", max_grad_norm: float = math.inf, lr_factor: float = 1.0) -> None:
        if state not in get_args(MemoryOptimizer):
            raise ValueError(f"optimizer: expected one of {get_args(MemoryOptimizer)}, got {state!r}")
        if not max_grad_norm > 0:
            raise ValueError(f"max_grad_norm: expected a positive number or infinity, got {max_grad_norm}")
        if not 0 < lr_factor < math.inf:
            raise ValueError(f"lr_factor: expected a positive multiple of the learning rate, got {lr_factor}")
        self.state = state
        self.max_grad_norm = max_grad_norm
        self.lr_factor = lr_factor
        self._own: defaultdict[Tensor, Any] = defaultdict(dict)

    def run(
        self,
        optimizer: Optimizer,
        weights: list[Tensor],
        gradients: Callable[[], Tensor],
        iterations: int,
    ) -> list[float]:
        """Fine-tune the weights, in place.

        A step whose loss or gradient is not finite is not taken and ends the fine-tuning, so that it spoils neither
        the weights nor the optimizer's moments; the last loss returned is then not finite.

        :param gradients: draws a memory batch, makes its gradients, and returns its loss; where it makes none (an
            overflow in fp16), no step is taken.
        :return: the loss of each step, taken before it.
        """
        losses: list[float] = []
        scaled = changed_rates(optimizer, lambda group: group["lr"] * self.lr_factor)
        with self._optimizer_state(optimizer), scaled, kept_gradients(weights):
            for _ in range(iterations):
                optimizer.zero_grad()
                value = gradients()
                # Infinity clips nothing, but the norm still tells whether the gradient is finite.
                norm = float(_clip(weights, self.max_grad_norm))
                losses.append(float(value.detach()) if math.isfinite(norm) else math.nan)
                if not math.isfinite(losses[-1]):
                    break
                optimizer.step()
            optimizer.zero_grad()
        return losses

    def drop_non_finite(self) -> None:
        """Forget own moments that are not finite; they begin anew at the next step."""
        drop_non_finite(self._own)

    def state_dict(self, weights: list[Tensor]) -> dict[str, Any]:
        """Return the own optimizer state, in the order of the trainable tensors; with the other choices it is empty."""
        return {"own": [dict(self._own.get(w, {})) for w in weights]}

    def load_state_dict(self, state: dict[str, Any], weights: list[Tensor]) -> None:
        """Restore what :meth:`state_dict` returned; nothing where there are no weights, before training has begun."""
        own = dict(zip(weights, state["own"], strict=bool(weights)))
        self._own = defaultdict(dict, {weight: moments for weight, moments in own.items() if moments})

    @contextmanager
    def _optimizer_state(self, optimizer: Optimizer) -> Iterator[None]:
        """Let the optimizer see the chosen state instead of the training's."""
        if self.state == "shared":
            yield
            return
        training = optimizer.state
        optimizer.state = self._own if self.state == "own" else defaultdict(dict)
        try:
            yield
        finally:
            optimizer.state = training


def _clip(weights: list[Tensor], max_norm: float) -> Tensor:
    """Clip the gradients together, and return their norm before; infinity leaves them alone."""
    if math.isinf(max_norm):
        return whole(torch.nn.utils.get_total_norm([w.grad for w in weights if w.grad is not None]))
    return whole(torch.nn.utils.clip_grad_norm_(weights, max_norm))


@contextmanager
def changed_rates(optimizer: Optimizer, rate: Callable[[Mapping[str, Any]], float]) -> Iterator[None]:
    """Give each group of weights another learning rate, and its own back afterwards."""
    rates = [group["lr"] for group in optimizer.param_groups]
    try:
        for group in optimizer.param_groups:
            group["lr"] = rate(group)
        yield
    finally:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate


@contextmanager
def kept_gradients(weights: Sequence[Tensor]) -> Iterator[None]:
    """Put the gradients aside, and back afterwards: other plugins may still read the training batch's."""
    kept = [w.grad for w in weights]
    try:
        for w in weights:
            w.grad = None
        yield
    finally:
        for w, grad in zip(weights, kept, strict=True):
            w.grad = grad
