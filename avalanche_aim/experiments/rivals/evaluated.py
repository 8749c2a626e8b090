"""Evaluating other weights than those that are trained."""

from collections.abc import Mapping
from typing import Any, ClassVar

from avalanche.training.plugins import SupervisedPlugin
from torch import Tensor

from ...merging import SlowWeights
from ...merging.state import Stateful
from ...rehearsal.memory import RehearsalMemory


class EvaluatedWeights(Stateful, SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Puts slow weights into the model for evaluations; training goes on with the fast ones.

    :param memory: of the strategy that they go with: they begin with the first task in which something is rehearsed,
        as everything that AIM does; None to begin with the first task.
    """

    STATE: ClassVar[tuple[str, ...]] = ("slow", "active", "iteration")

    def __init__(self, slow: SlowWeights, memory: RehearsalMemory | None = None) -> None:
        super().__init__()
        self.slow = slow
        self._memory = memory
        self.active = memory is None
        self.iteration = 0

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Begin, or go on, from the weights as they are."""
        self.iteration = 0
        self.active = self.active or (self._memory is not None and len(self._memory) > 0)
        if self.active:
            self.slow.start(trainable(strategy.model))

    def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.iteration += 1
        if self.active:
            iterations = strategy.train_epochs * len(strategy.dataloader)
            self.slow.update(trainable(strategy.model), self.iteration, iterations)

    def before_eval(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Put the slow weights in."""
        self.slow.swap(trainable(strategy.model), True)

    def after_eval(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Put the training's weights back."""
        self.slow.swap(trainable(strategy.model), False)


class ChosenWeights(SlowWeights):
    """Weights that are made when a task is over, and evaluated from then on."""

    def update(self, weights: Mapping[str, Tensor], iteration: int, iterations: int | None) -> None:
        """Nothing changes within a task."""

    def choose(self, weights: Mapping[str, Tensor]) -> None:
        """Take weights to evaluate.

        :param weights: copies, by name.
        """
        self.average = dict(weights)
        self.averaged += 1


def trainable(model: Any) -> dict[str, Tensor]:
    """Return the trainable weights of a model by name."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
