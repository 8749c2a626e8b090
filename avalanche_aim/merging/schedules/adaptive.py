"""The paper's schedule."""

import math

from ..observation import DueMerge, Observation
from .schedule import AdaptingSchedule


class AdaptiveInterval(AdaptingSchedule):
    """The paper's controller: merge after S iterations, or at once when forgetting shows; then adapt S.

    After more than ``cold_start`` merges in the window: mostly upward pairs mean rapid learning and shorten the
    interval, S ← max(minimum, ⌊S/shrink⌋); mostly downward ones mean convergence and lengthen it,
    S ← min(maximum, ⌈S·growth⌉); a tie leaves it. Source: arXiv 2509.17348, the merge controller. The values of
    ``growth`` and ``shrink`` (γ₊ and γ₋) are ours, as is the rounding away from S.

    :param initial: S_0, the first interval of each experience.
    :param minimum: S_min.
    :param maximum: S_max.
    :param growth: γ₊, above 1.
    :param shrink: γ₋, above 1.
    :param cold_start: merges before the interval adapts.
    :param patience: activations in one interval that make an early merge.
    :param merges_at_end: whether what is left unmerged is merged when the experience ends.
    :raises ValueError: if the bounds do not contain S_0, or a factor is not above 1.
    """

    def __init__(
        self,
        initial: int = 8,
        minimum: int = 2,
        maximum: int = 128,
        growth: float = 1.5,
        shrink: float = 1.5,
        cold_start: int = 3,
        patience: int = 3,
        merges_at_end: bool = False,
    ) -> None:
        super().__init__(initial, minimum, maximum, cold_start, patience, merges_at_end)
        if growth <= 1 or shrink <= 1:
            raise ValueError(f"growth and shrink: expected factors above 1, got {growth} and {shrink}")
        self.growth, self.shrink = growth, shrink
        self.signals_needed = cold_start + 1

    def due(self, observation: Observation) -> str | None:
        if observation.forgetting.activations >= self.patience:
            return "forgetting"
        return super().due(observation)

    def adapt(self, merge: DueMerge) -> None:
        learning = merge.learning
        if len(learning.values) <= self.cold_start:
            return
        self.adapted = True
        if learning.upward > learning.downward:
            self.interval = max(self.minimum, math.floor(_clean(self.interval / self.shrink)))
        elif learning.downward > learning.upward:
            self.interval = min(self.maximum, math.ceil(_clean(self.interval * self.growth)))


def _clean(value: float) -> float:
    """Without the noise of binary fractions: 50 · 1.1 is 55, not a little more."""
    return round(value, 9)
