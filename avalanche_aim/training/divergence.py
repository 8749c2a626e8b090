"""Ends a training that has made weights non-finite, beside strategies without AIM."""

from typing import Any

from avalanche.training.plugins import SupervisedPlugin
from torch import Tensor

from ..merging.rollback import DivergenceWatch, check_finite
from ..merging.state import Stateful


class DivergenceCheck(Stateful, SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Ends a training that has made weights non-finite, which nothing brings back, instead of going on for days.

    The loss is looked at every 64 iterations, and the weights where it is not finite and at the end of
    each experience. A loss that is not finite beside weights that are (an overflow in fp16) ends nothing.
    :class:`~avalanche_aim.AIMMergingPlugin` does the same by itself, and rolls back where it can.
    """

    STATE = ("watch",)

    def __init__(self) -> None:
        super().__init__()
        self.watch = DivergenceWatch()

    def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Look at the loss, now and then."""
        self.watch.after_iteration(strategy.loss, _weights(strategy), _experience(strategy))

    def after_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Look at the weights."""
        check_finite(_weights(strategy), _experience(strategy))


def _weights(strategy: Any) -> list[Tensor]:
    return [weight for weight in strategy.model.parameters() if weight.requires_grad]


def _experience(strategy: Any) -> int | None:
    number: int | None = getattr(strategy.experience, "current_experience", None)
    return number
