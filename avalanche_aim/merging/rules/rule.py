"""What every rule is, and how its result is written."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..task_vectors import TaskVector
from ..weights import Pair


class Rule(Protocol):
    """Makes the merged weights."""

    def __call__(
        self,
        theta_prev: Sequence[Tensor],
        tau_new: Sequence[Tensor],
        tau_past: Sequence[Tensor],
        coefficients: Sequence[Pair],
    ) -> Iterable[Tensor]:
        """Give the merged tensors, in order. A generator needs no further copy of the weights, a list one.

        The task vectors are made when they are read, and a weight is written as soon as the rule has given it, so a
        rule reads what it needs of a weight before it gives that one. Weights that are sharded over processes come as
        ``DTensor``, whose arithmetic means the whole tensor.

        :param theta_prev: the weights after the previous merge.
        :param tau_new: what training on the new task added to them, in single precision at least.
        :param tau_past: what the memory fine-tuning added after it; zero where there was none.
        :param coefficients: (α₁, α₂) for each weight.
        """


@torch.no_grad()
def merge_(
    weights: Sequence[Tensor],
    previous: Sequence[Tensor],
    trained: Sequence[Tensor],
    coefficients: Sequence[Pair],
    rule: Rule,
) -> None:
    """Merge, in place.

    :param weights: the trainable tensors; they hold θ_mem and receive the result.
    :param previous: θ_prev, copies from the previous merge.
    :param trained: θ_j, copies from before the memory fine-tuning.
    :raises ValueError: if the rule gives another number of tensors, or one of another shape.
    """
    merged = iter(rule(previous, TaskVector(previous, trained), TaskVector(trained, weights), coefficients))
    for number, weight in enumerate(weights):
        value = next(merged, None)
        if value is None:
            raise ValueError(f"rule: expected {len(weights)} merged tensors, one for each weight, got {number}")
        if value.shape != weight.shape:
            raise ValueError(f"rule: expected a tensor of shape {tuple(weight.shape)}, got {tuple(value.shape)}")
        weight.copy_(value)
        del value  # before the next one is made
