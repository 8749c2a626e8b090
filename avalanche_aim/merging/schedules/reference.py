"""The published code's schedule."""

import math

from ..observation import DueMerge, Observation
from .schedule import AdaptingSchedule


class ReferenceInterval(AdaptingSchedule):
    """The published code's controller, decision for decision.

    S is a minimum here: a merge needs S iterations and one activation, or three activations, and once 2S
    iterations have passed each further one counts as an activation (*forced*). The interval follows the ratio
    of the last two learning signals. Every literal of that code is a parameter.

    :param initial: S₀.
    :param minimum: lower bound of S.
    :param maximum: upper bound of S.
    :param cold_start: signals beyond which the interval adapts.
    :param patience: activations that make an early merge.
    :param halve_from: after shrinking, an S of at least this is halved; below it growth adds
        ``growth_below`` to the ratio, from it on ``growth_above``.
    :param growth_below: see ``halve_from``.
    :param growth_above: see ``halve_from``.
    :param adaptive: False keeps S at S₀.
    :param merges_at_end: whether what is left unmerged is merged when the experience ends.
    :raises ValueError: if the bounds do not contain S₀.
    """

    def __init__(
        self,
        initial: int = 8,
        minimum: int = 2,
        maximum: int = 128,
        cold_start: int = 3,
        patience: int = 3,
        halve_from: int = 64,
        growth_below: float = 1.0,
        growth_above: float = 0.5,
        adaptive: bool = True,
        merges_at_end: bool = False,
    ) -> None:
        super().__init__(initial, minimum, maximum, cold_start, patience, merges_at_end)
        self.signals_needed = cold_start + 2
        self.halve_from, self.growth_below, self.growth_above = halve_from, growth_below, growth_above
        self.adaptive = adaptive

    def due(self, observation: Observation) -> str | None:
        forgetting, elapsed = observation.forgetting, observation.elapsed
        if forgetting.status == "quiet" and elapsed >= 2 * self.interval:
            forgetting.force()
        if forgetting.activations >= self.patience or (elapsed >= self.interval and forgetting.activations >= 1):
            return {"active": "activation", "forced": "forced"}.get(forgetting.status, "waiting")
        return None

    def adapt(self, merge: DueMerge) -> None:
        values = merge.learning.values
        if not self.adaptive or len(values) - 1 <= self.cold_start:
            return
        self.adapted = True
        previous, current = values[-2:]
        if current >= previous:
            self.interval = max(self.minimum, int(self.interval / _ratio(current, previous)))
            if self.interval >= self.halve_from:
                self.interval = int(self.interval / 2)
        else:
            bonus = self.growth_below if self.interval < self.halve_from else self.growth_above
            grown = self.interval * (_ratio(previous, current) + bonus)
            self.interval = int(min(self.maximum, grown))


def _ratio(larger: float, smaller: float) -> float:
    """``larger / smaller`` with the limits that a division by zero stands for."""
    if smaller == 0:
        return 1.0 if larger == 0 else math.inf
    return larger / smaller
