"""How much of the new and of the rehearsed knowledge enters a merge: (α₁, α₂).

A weighting is any function of the merge that is due: it returns one pair, or one pair for each trainable weight, in the
order of ``merge.names``.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from .observation import DueMerge

Pair = tuple[float, float]


class Weighting(Protocol):
    """Chooses the coefficients of one merge."""

    def __call__(self, merge: DueMerge) -> Pair | Sequence[Pair]:
        """Return (α₁, α₂), the coefficients of τ_new and τ_past, or one such pair for each trainable weight."""


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

    def __call__(self, merge: DueMerge) -> Pair:
        alpha_new = 0.5 + self.kappa * (merge.learning.share_upward - min(1.0, merge.forgetting.share_active))
        return alpha_new, 1.0 - alpha_new


@dataclass(frozen=True)
class ReferenceWeights:
    """The published code's table: activated more than once or not, interval long or not.

    :param long_interval: intervals above this are long (70 in the published code).
    """

    long_interval: int = 70

    def __call__(self, merge: DueMerge) -> Pair:
        often = merge.forgetting.activations > 1
        long = merge.interval is not None and merge.interval > self.long_interval
        if often == long:
            return (0.4, 0.6) if often else (0.6, 0.4)
        return 0.5, 0.5


@dataclass(frozen=True)
class FixedWeights:
    """The same coefficients at every merge. (1, 1) undoes nothing: plain alternation of task and memory.

    :param new: α₁, of the new task's vector.
    :param past: α₂, of the rehearsed tasks' vector.
    """

    new: float = 0.5
    past: float = 0.5

    def __call__(self, merge: DueMerge) -> Pair:
        return self.new, self.past


@dataclass(frozen=True)
class StraightWeights:
    """α₁ = α₂ = ½ (1 + s²), s the straightness of the interval's path; ours.

    While training leads on in one direction there is little to average away, and halving it would only undo learning;
    where the path turns about, the middle is as good for the task and nearer to the past.
    """

    needs: ClassVar[tuple[str, ...]] = ("straightness",)

    def __call__(self, merge: DueMerge) -> Pair:
        alpha = (1 + merge.straightness**2) / 2
        return alpha, alpha


@dataclass(frozen=True)
class GroupedWeights:
    """Coefficients of their own for groups of weights: a layer, or A and B of LoRA.

    :param groups: a regular expression → (α₁, α₂). A weight takes the first whose expression is found in its name:
        ``{"lora_A": (0.5, 0.5), "lora_B": (0.7, 0.3)}``.
    :param others: of weights in no group.
    :raises ValueError: at the first merge, for an expression that is found in no name.
    """

    groups: Mapping[str, Sequence[float]] = field(default_factory=dict)
    others: Sequence[float] = (0.5, 0.5)

    def __post_init__(self) -> None:
        for group, pair in (*self.groups.items(), ("others", self.others)):
            re.compile(group)
            if len(pair) != 2:
                raise ValueError(f"weights: expected two numbers (α₁, α₂) for {group!r}, got {pair!r}")

    def __call__(self, merge: DueMerge) -> list[Pair]:
        for group in self.groups:
            if not any(re.search(group, name) for name in merge.names):
                raise ValueError(
                    f"weights: expected a group whose expression is found in a weight's name, got {group!r}; "
                    f"the names are {', '.join(merge.names[:4])}, …"
                )
        chosen = [next((p for g, p in self.groups.items() if re.search(g, name)), self.others) for name in merge.names]
        return [(float(new), float(past)) for new, past in chosen]


WEIGHTINGS: dict[str, type] = {
    "signals": SignalWeights,
    "reference": ReferenceWeights,
    "fixed": FixedWeights,
    "straight": StraightWeights,
    "grouped": GroupedWeights,
}


def per_weight(coefficients: Pair | Sequence[Pair], weights: int) -> list[Pair]:
    """Return one pair for each trainable weight; a ValueError if a weighting gave neither that nor a single pair."""
    chosen: list[Any] = list(coefficients)
    if len(chosen) == 2 and not any(isinstance(one, Sequence) for one in chosen):
        chosen = [chosen] * weights
    if len(chosen) != weights or any(not isinstance(one, Sequence) or len(one) != 2 for one in chosen):
        wanted = f"(α₁, α₂) or one such pair for each of {weights} weights"
        raise ValueError(f"weights: expected {wanted}, got {coefficients!r:.200}")
    return [(float(new), float(past)) for new, past in chosen]
