"""Evaluating other weights than those that are trained."""

from collections.abc import Mapping
from typing import Any

from avalanche.training.plugins import SupervisedPlugin
from torch import Tensor

from ...merging import SlowWeights
from ...rehearsal.memory import RehearsalMemory


class EvaluatedWeights(SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Puts slow weights into the model for evaluations; training goes on with the fast ones.

    :param slow: the slow weights.
    :param memory: of the strategy that they go with: they begin with the first task in which something is rehearsed,
        as everything that AIM does; None to begin with the first task.
    """

    def __init__(self, slow: SlowWeights, memory: RehearsalMemory | None = None) -> None:
        super().__init__()
        self.slow = slow
        self._memory = memory
        self._active = memory is None
        self._iteration = 0

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Begin, or go on, from the weights as they are."""
        self._iteration = 0
        self._active = self._active or (self._memory is not None and len(self._memory) > 0)
        if self._active:
            self.slow.start(trainable(strategy.model))

    def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Take the weights into the average."""
        self._iteration += 1
        if self._active:
            iterations = strategy.train_epochs * len(strategy.dataloader)
            self.slow.update(trainable(strategy.model), self._iteration, iterations)

    def before_eval(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Put the slow weights in."""
        self.slow.swap(trainable(strategy.model), True)

    def after_eval(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Put the training's weights back."""
        self.slow.swap(trainable(strategy.model), False)

    def state_dict(self) -> dict[str, Any]:
        """Return the slow weights' state and the place in the task."""
        return {"slow": self.slow.state_dict(), "active": self._active, "iteration": self._iteration}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        :param state: the state.
        """
        self.slow.load_state_dict(state["slow"])
        self._active, self._iteration = state["active"], state["iteration"]


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
    """Return the trainable weights of a model by name.

    :param model: the model.
    """
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
