"""Training that stops when it has cost what plain training costs."""

from math import ceil
from typing import Any

from avalanche.training.plugins import SupervisedPlugin

from ..merging.state import Stateful
from .cost import CostMeter


class EqualBudget(Stateful, SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Ends each task at as many optimizer steps, or passes with gradient, as plain training has in it.

    A strategy that spends some of them on the memory then sees fewer new examples. What an iteration has begun it
    finishes, and a merge with its memory iterations belongs to the iteration. What a task takes too much, the next one
    has less, so that the whole stream meets the budget to within one merge.

    :param kind: "steps", or "passes" (examples passed with gradient).
    :param meter: counts them; it is to come before this plugin.
    """

    STATE = ("end",)

    def __init__(self, kind: str, meter: CostMeter) -> None:
        super().__init__()
        self.kind = kind
        self._meter = meter
        self.end = 0.0

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        examples = len(getattr(strategy.experience, "dataset", strategy.adapted_dataset))
        allowed = examples if self.kind == "passes" else ceil(examples / strategy.train_mb_size)
        self.end = min(self.end or self._spent(), self._spent()) + strategy.train_epochs * allowed

    def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        if self._spent() >= self.end:
            strategy.stop_training()

    def _spent(self) -> float:
        return self._meter.optimizer_steps if self.kind == "steps" else self._meter.passed("gradient")
