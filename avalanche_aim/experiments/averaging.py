"""A control: plain weight averaging at the end of each task."""

from typing import Any

from avalanche.training.plugins import SupervisedPlugin
from torch import Tensor

from ..merging import merge_, snapshot


class WeightAveraging(SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """After each task but the first, average the weights with those from before the task: θ ← ½ (θ_before + θ).

    No memory, no signals: what merging alone does.
    """

    def __init__(self) -> None:
        super().__init__()
        self._before: list[Tensor] = []
        self._first = True

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Keep the weights."""
        self._before = [] if self._first else snapshot(_weights(strategy))

    def after_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Average."""
        if self._before:
            weights = _weights(strategy)
            merge_(weights, self._before, snapshot(weights), 0.5, 0.5)
        self._before, self._first = [], False

    def state_dict(self) -> dict[str, Any]:
        """Return the kept weights."""
        return {"before": self._before, "first": self._first}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        :param state: the state.
        """
        self._before, self._first = state["before"], state["first"]


def _weights(strategy: Any) -> list[Tensor]:
    return [p for p in strategy.model.parameters() if p.requires_grad]
