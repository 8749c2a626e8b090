"""Weights that training has made non-finite: found out without waiting for an accelerator at every iteration."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from avalanche.training.plugins import SupervisedPlugin
from torch import Tensor

LOOK_EVERY = 64
"""Iterations from one look at the training loss to the next."""
REMEDY = (
    "lower the learning rate, clip gradients (GradientStep(max_grad_norm=1.0), --max-grad-norm 1), prefer bf16 to "
    "fp16, and look for broken examples"
)


@torch.no_grad()
def all_finite(tensors: Sequence[Tensor]) -> bool:
    """Whether no number of any tensor is NaN or infinite: one host synchronisation.

    :param tensors: floating-point tensors.
    """
    if not tensors:
        return True
    device = tensors[0].device
    return bool(torch.stack([tensor.isfinite().all().to(device) for tensor in tensors]).all())


class DivergenceCheck(SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Ends a training that has made weights non-finite, which nothing brings back, instead of going on for days.

    The loss is looked at every :data:`LOOK_EVERY` iterations, and the weights where it is not finite and at the end of
    each experience. A loss that is not finite beside weights that are (an overflow in fp16) ends nothing.
    :class:`~avalanche_aim.AIMMergingPlugin` does the same by itself, and rolls back where it can.
    """

    def __init__(self) -> None:
        super().__init__()
        self._iterations = 0

    def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Look at the loss, now and then."""
        self._iterations += 1
        if self._iterations % LOOK_EVERY == 0 and not math.isfinite(float(strategy.loss.detach())):
            self.look(strategy)

    def after_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Look at the weights."""
        self.look(strategy)

    def state_dict(self) -> dict[str, Any]:
        """Return how many iterations have passed."""
        return {"iterations": self._iterations}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        :param state: the state.
        """
        self._iterations = state["iterations"]

    def look(self, strategy: Any) -> None:
        """Look at the weights.

        :param strategy: the training strategy.
        :raises FloatingPointError: if one is not finite.
        """
        if not all_finite([weight for weight in strategy.model.parameters() if weight.requires_grad]):
            experience = getattr(strategy.experience, "current_experience", None)
            raise FloatingPointError(f"training has made the weights non-finite in experience {experience}; {REMEDY}")
