"""The learning signal: how fast the weights move. Source: arXiv 2509.17348, learning signal."""

from typing import Literal

from ..observation import DueMerge
from ..state import Stateful


class LearningSignal(Stateful):
    """Mean absolute movement of the weights per iteration, over the last merges.

    ``values`` holds Λ_b = (1/S_b) · Σ_i |τ_new,i| of the last merges, oldest first. Of its consecutive pairs,
    *upward* ones have Λ_b ≥ Λ_{b-1}; the others are *downward*. A signal of your own overrides :meth:`value`.

    :param window: how many signals are kept (L_w in the paper), or None to keep all of the experience.
    :param divided_by: the iterations S_b: "passed", those that really passed, or "planned", the interval in force (the
        published code).
    :raises ValueError: if the window holds fewer than two signals, which would leave no pair, or for another name.
    """

    STATE = ("values",)

    def __init__(self, window: int | None = 5, divided_by: Literal["passed", "planned"] = "passed") -> None:
        if window is not None and window < 2:
            raise ValueError(f"window: expected at least 2 signals (one pair) or None, got {window}")
        if divided_by not in ("passed", "planned"):
            raise ValueError(f"divided_by: expected 'passed' or 'planned', got {divided_by!r}")
        self.window = window
        self.divided_by = divided_by
        self.values: list[float] = []

    def start(self) -> None:
        """Forget all signals: a new experience begins."""
        self.values = []

    def value(self, merge: DueMerge) -> float:
        """Return the signal of one merge."""
        planned = self.divided_by == "planned" and merge.interval is not None
        return merge.movement / (merge.interval if planned and merge.interval else merge.elapsed)

    def update(self, merge: DueMerge) -> float:
        """Add the signal of one merge and return it."""
        value = self.value(merge)
        self.values.append(value)
        if self.window is not None:
            self.values = self.values[-self.window :]
        return value

    @property
    def upward(self) -> int:
        """How many consecutive pairs do not fall."""
        return sum(b >= a for a, b in zip(self.values, self.values[1:], strict=False))

    @property
    def downward(self) -> int:
        """How many consecutive pairs fall."""
        return max(len(self.values) - 1, 0) - self.upward

    @property
    def share_upward(self) -> float:
        """P_new: the share of upward pairs; ½ while there is no pair, which speaks for neither side."""
        pairs = len(self.values) - 1
        return self.upward / pairs if pairs > 0 else 0.5
