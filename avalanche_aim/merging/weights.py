"""How much of the new and of the rehearsed knowledge enters a merge: (α₁, α₂).

A weighting is any callable with the signature of :class:`Weighting`.
"""

from dataclasses import dataclass
from typing import Protocol

from .signals import ForgettingSignal, LearningSignal


class Weighting(Protocol):
    """Chooses the weights of one merge."""

    def __call__(
        self, learning: LearningSignal, forgetting: ForgettingSignal, interval: int | None
    ) -> tuple[float, float]:
        """Return (α₁, α₂), the weights of τ_new and τ_past.

        :param learning: the learning signal, this merge included.
        :param forgetting: the forgetting signal of the interval that ends.
        :param interval: the planned length of that interval.
        """


@dataclass(frozen=True)
class SignalWeights:
    """α₁ = ½ + κ·(P_new − P_past), α₂ = 1 − α₁.

    P_new is the share of upward pairs of the learning signal, P_past the share of activations. The paper says
    that α₁ grows with P_new and α₂ with P_past and that they sum to one; the formula is ours: with κ = 0.1 it
    spans [0.4, 0.6], as the published code's table does, and meets that table at its corners.

    :param kappa: κ, from 0 (always ½) to ½ (the full range).
    :raises ValueError: for κ outside [0, ½].
    """

    kappa: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.kappa <= 0.5:
            raise ValueError(f"kappa: expected a number in [0, 0.5], got {self.kappa}")

    def __call__(
        self, learning: LearningSignal, forgetting: ForgettingSignal, interval: int | None
    ) -> tuple[float, float]:
        alpha_new = 0.5 + self.kappa * (learning.share_upward - min(1.0, forgetting.share_active))
        return alpha_new, 1.0 - alpha_new


@dataclass(frozen=True)
class ReferenceWeights:
    """The published code's table: activated more than once or not, interval long or not.

    :param long_interval: intervals above this are long (70 in the published code).
    """

    long_interval: int = 70

    def __call__(
        self, learning: LearningSignal, forgetting: ForgettingSignal, interval: int | None
    ) -> tuple[float, float]:
        often = forgetting.activations > 1
        long = interval is not None and interval > self.long_interval
        if often == long:
            return (0.4, 0.6) if often else (0.6, 0.4)
        return 0.5, 0.5


@dataclass(frozen=True)
class FixedWeights:
    """The same weights at every merge.

    :param new: α₁, of the new task's vector.
    :param past: α₂, of the rehearsed tasks' vector.
    """

    new: float = 0.5
    past: float = 0.5

    def __call__(
        self, learning: LearningSignal, forgetting: ForgettingSignal, interval: int | None
    ) -> tuple[float, float]:
        return self.new, self.past
