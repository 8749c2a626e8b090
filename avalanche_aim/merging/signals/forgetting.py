"""The forgetting signal: how much is being forgotten. Source: arXiv 2509.17348, forgetting signal."""

import math
from fractions import Fraction
from typing import ClassVar

from ..observation import Observation
from ..state import Stateful


class Activations(Stateful):
    """Base of forgetting signals: counts the monitored iterations of an interval at which forgetting shows.

    A signal of your own overrides :meth:`update`, and says of each iteration ``self.count(forgetting shows)``.
    """

    STATE: ClassVar[tuple[str, ...]] = ("threshold", "compared", "activations", "status")
    monitors: ClassVar[bool] = True
    """Whether it reads the historical loss. One that does not is updated after every iteration, and none is taken."""

    def __init__(self) -> None:
        self.start(None)

    def start(self, losses: int | None) -> None:
        """Begin an interval.

        :param losses: how many of its iterations are monitored, as planned, or None where no length is planned.
        """
        self.threshold: float | None = None
        self.compared = 0
        self.activations = 0
        self.status = "collecting"

    def update(self, observation: Observation) -> str:
        """Take one monitored iteration, and return its status."""
        raise NotImplementedError(f"{type(self).__name__}: expected an update(observation) that returns self.count(…)")

    def count(self, active: bool) -> str:
        """Count an iteration at which forgetting shows, or not, and return its status: "active" or "quiet"."""
        self.compared += 1
        self.activations += bool(active)
        self.status = "active" if active else "quiet"
        return self.status

    def force(self) -> None:
        """Count an activation that no loss asked for, as the published code does after twice the interval."""
        self.activations += 1
        self.status = "forced"

    @property
    def share_active(self) -> float:
        """P_past: activations among the iterations that were compared with the threshold; 0 before any."""
        return self.activations / self.compared if self.compared else 0.0


class ForgettingSignal(Activations):
    """Iterations whose historical loss reaches the threshold of the current interval.

    The historical losses of the first part of an interval of S iterations set its threshold
    δ = factor · mean; each later iteration whose loss reaches δ is one activation. A signal of another quantity
    overrides :meth:`value`.

    :param factor: of the mean historical loss (2.0 in the paper).
    :param collected_share: the part of the interval that sets the threshold (two thirds in the paper):
        ⌊share · S⌋ losses, at least one.
    :param extra_losses: losses collected beyond that share. The published code collects one more.
    :param floor: a loss below which nothing is an activation: a multiple of nearly nothing is noise.
    :raises ValueError: for a factor that is not positive, a share outside (0, 1] or a floor that is negative.
    """

    STATE = ("collected", "needed", *Activations.STATE)

    def __init__(
        self,
        factor: float = 2.0,
        collected_share: Fraction | float = Fraction(2, 3),
        extra_losses: int = 0,
        floor: float = 0.0,
    ) -> None:
        if not factor > 0:
            raise ValueError(f"factor: expected a positive multiple of the mean historical loss, got {factor}")
        if not 0 < collected_share <= 1:
            raise ValueError(f"collected_share: expected a share in (0, 1], got {collected_share}")
        if not 0 <= floor < math.inf:
            raise ValueError(f"floor: expected a loss of 0 or more, got {floor}")
        self.factor, self.floor = factor, floor
        # A fraction keeps ⌊2/3 · S⌋ exact for every S, where a float may fall just short of an integer.
        self.collected_share = Fraction(collected_share).limit_denominator(1000)
        self.extra_losses = extra_losses
        super().__init__()

    def start(self, losses: int | None) -> None:
        super().start(losses)
        self.collected: list[float] = []
        self.needed: int | None = None
        if losses is not None:
            self.needed = max(1, int(self.collected_share * losses) + self.extra_losses)

    def value(self, observation: Observation) -> float:
        """Return what is compared with the threshold at a monitored iteration: the historical loss."""
        assert observation.historical_loss is not None
        return observation.historical_loss

    def update(self, observation: Observation) -> str:
        """Take a monitored iteration: "collecting" while the threshold is being set, then "active" or "quiet"."""
        value = self.value(observation)
        if self.threshold is not None:
            return self.count(value >= self.threshold)
        self.collected.append(value)
        if len(self.collected) == self.needed:
            self.threshold = max(self.floor, self.factor * sum(self.collected) / len(self.collected))
        self.status = "collecting"
        return self.status


class NoForgetting(Activations):
    """Nothing ever speaks of forgetting: P_past is 0, no merge comes early, and no historical loss is taken."""

    monitors = False

    def update(self, observation: Observation) -> str:
        """Stay quiet."""
        self.status = "quiet"
        return self.status
