"""The two signals of AIMMerging: how fast the weights move, and how much is being forgotten.

Source: AIMMerging (arXiv 2509.17348), the sections on the learning and the forgetting signal. Both take floats
and keep plain numbers; neither knows about models.
"""

from fractions import Fraction

from .state import Stateful


class LearningSignal(Stateful):
    """Mean absolute movement of the weights per iteration, over the last merges.

    ``values`` holds Λ_b = (1/S_b) · Σ_i |τ_new,i| of the last merges, oldest first. Of its consecutive pairs,
    *upward* ones have Λ_b ≥ Λ_{b-1}; the others are *downward*.

    :param window: how many signals are kept (L_w in the paper), or None to keep all of the experience.
    :raises ValueError: if the window holds fewer than two signals, which would leave no pair.
    """

    STATE = ("values",)

    def __init__(self, window: int | None = 5) -> None:
        if window is not None and window < 2:
            raise ValueError(f"window: expected at least 2 signals (one pair) or None, got {window}")
        self.window = window
        self.values: list[float] = []

    def start(self) -> None:
        """Forget all signals: a new experience begins."""
        self.values = []

    def update(self, movement: float, iterations: int) -> float:
        """Add the signal of one merge and return it.

        :param movement: Σ_i |τ_new,i|, summed over all trainable weights.
        :param iterations: the interval that it is divided by.
        """
        value = movement / iterations
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


class ForgettingSignal(Stateful):
    """Activations: iterations whose historical loss reaches the threshold of the current interval.

    The historical losses of the first part of an interval of S iterations set its threshold
    δ = factor · mean; each later iteration whose loss reaches δ is one activation.

    :param factor: of the mean historical loss (2.0 in the paper).
    :param collected_share: the part of the interval that sets the threshold (two thirds in the paper):
        ⌊share · S⌋ losses, at least one.
    :param extra_losses: losses collected beyond that share. The published code collects one more.
    :raises ValueError: for a factor that is not positive or a share outside (0, 1].
    """

    STATE = ("collected", "needed", "threshold", "compared", "activations", "status")

    def __init__(
        self,
        factor: float = 2.0,
        collected_share: Fraction | float = Fraction(2, 3),
        extra_losses: int = 0,
    ) -> None:
        if not factor > 0:
            raise ValueError(f"threshold factor: expected a positive number, got {factor}")
        if not 0 < collected_share <= 1:
            raise ValueError(f"collected_share: expected a share in (0, 1], got {collected_share}")
        self.factor = factor
        # A fraction keeps ⌊2/3 · S⌋ exact for every S, where a float may fall just short of an integer.
        self.collected_share = Fraction(collected_share).limit_denominator(1000)
        self.extra_losses = extra_losses
        self.start(None)

    def start(self, interval: int | None) -> None:
        """Begin an interval.

        :param interval: its planned length S (or how many of its iterations are monitored), or None where no length is
            planned: then no threshold is set.
        """
        self.collected: list[float] = []
        self.needed: int | None = None
        if interval is not None:
            self.needed = max(1, int(self.collected_share * interval) + self.extra_losses)
        self.threshold: float | None = None
        self.compared = 0
        self.activations = 0
        self.status = "collecting"

    def update(self, loss: float) -> str:
        """Take the historical loss of one iteration.

        :param loss: the loss on a batch of the memory; finite.
        :return: ``"collecting"`` while the threshold is being set, then ``"active"`` or ``"quiet"``.
        """
        if self.threshold is None:
            self.collected.append(loss)
            if len(self.collected) == self.needed:
                self.threshold = self.factor * sum(self.collected) / len(self.collected)
            self.status = "collecting"
        else:
            self.compared += 1
            self.status = "active" if loss >= self.threshold else "quiet"
            self.activations += self.status == "active"
        return self.status

    def force(self) -> None:
        """Count an activation that no loss asked for, as the published code does after twice the interval."""
        self.activations += 1
        self.status = "forced"

    @property
    def share_active(self) -> float:
        """P_past: activations among the iterations that were compared with the threshold; 0 before any."""
        return self.activations / self.compared if self.compared else 0.0
