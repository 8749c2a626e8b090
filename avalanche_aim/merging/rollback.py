"""Weights that training has made non-finite: found out, and taken back where there is something to go back to."""

import math
import warnings
from collections.abc import MutableMapping, Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from .state import Stateful
from .task_vectors import all_finite, restore_, snapshot

LOOK_EVERY = 64
"""Iterations from one look at the training loss to the next."""
MAX_ROLLBACKS = 3
"""How often an experience may go back to its last finite weights before its training ends in an error."""
REMEDY = (
    "lower the learning rate, clip gradients (GradientStep(max_grad_norm=1.0), --max-grad-norm 1), prefer bf16 to "
    "fp16, and look for broken examples"
)


class DivergenceWatch(Stateful):
    """Looks at the loss every :data:`LOOK_EVERY` iterations, and at the weights where it is not finite.

    So an accelerator need not be waited for at every iteration.
    """

    STATE = ("iterations",)

    def __init__(self) -> None:
        self.iterations = 0

    def after_iteration(self, loss: Tensor, weights: Sequence[Tensor], experience: int | None) -> None:
        """Let an iteration pass; a weight that is found not to be finite is a FloatingPointError."""
        self.iterations += 1
        if self.iterations % LOOK_EVERY == 0 and not math.isfinite(float(loss.detach())):
            check_finite(weights, experience)


def check_finite(weights: Sequence[Tensor], experience: int | None) -> None:
    """Refuse weights that are not all finite with a FloatingPointError."""
    if not all_finite(weights):
        raise FloatingPointError(f"training has made the weights non-finite in experience {experience}; {REMEDY}")


class Rollback:
    """Keeps the weights after the last merge, θ_prev, and goes back to them from non-finite ones."""

    def __init__(self) -> None:
        self.previous: list[Tensor] = []
        """θ_prev; empty while nothing is merged."""
        self._buffers: list[Tensor] = []
        self._times = 0

    def start(self, weights: Sequence[Tensor], model: Any) -> None:
        """Keep the weights an experience begins with, and the model's floating-point buffers."""
        self._times = 0
        self.previous, self._buffers = snapshot(weights), snapshot(_buffers(model))

    def stop(self) -> None:
        """Keep nothing any more."""
        self.previous, self._buffers, self._times = [], [], 0

    def take(self, weights: Sequence[Tensor], model: Any) -> None:
        """Keep the weights after a merge, and the buffers."""
        restore_(self.previous, weights)
        restore_(self._buffers, _buffers(model))

    def is_finite(self, weights: Sequence[Tensor], model: Any) -> bool:
        """Whether all that would be taken back is finite now."""
        return all_finite([*weights, *_buffers(model)])

    def go_back(self, weights: Sequence[Tensor], model: Any, optimizer: Optimizer, where: str) -> None:
        """Go back to θ_prev, the last finite weights, and the buffers; a FloatingPointError if it was too often."""
        restore_(weights, self.previous)
        restore_(_buffers(model), self._buffers)
        drop_non_finite(optimizer.state)
        self._times += 1
        found = f"training had made the weights non-finite by {where}"
        if self._times > MAX_ROLLBACKS:
            raise FloatingPointError(f"{found}, for the {self._times}th time in this experience; {REMEDY}")
        warnings.warn(f"AIMMerging: {found}; they are those of the last merge again, and the optimizer's moments begin "
                      f"anew. If it comes back: {REMEDY}", stacklevel=4)  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Return what is kept."""
        return {"previous": self.previous, "buffers": self._buffers, "times": self._times}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.previous, self._buffers, self._times = state["previous"], state["buffers"], state["times"]


def drop_non_finite(moments: MutableMapping[Any, Any]) -> None:
    """Forget an optimizer's moments that non-finite weights or gradients have spoiled; they begin anew."""
    for weight, state in list(moments.items()):
        tensors = [value for value in state.values() if isinstance(value, Tensor)]
        if not all_finite(tensors):
            del moments[weight]


def _buffers(model: Any) -> list[Tensor]:
    """The model's floating-point buffers (batch-norm statistics), which a broken batch spoils as it does weights."""
    return [buffer for buffer in model.buffers() if buffer.is_floating_point()]
