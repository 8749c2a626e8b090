"""What all schedules share: they are asked after every iteration, and choose the next interval after every merge."""

from typing import ClassVar

from ..observation import DueMerge, Observation
from ..state import Stateful


class Schedule(Stateful):
    """Base of all schedules. One of your own overrides :meth:`due`, and :meth:`adapt` if it learns from merges.

    :param initial: the planned length of the first interval, in iterations, or None where none is planned.
    :param merges_at_end: whether what is left unmerged is merged when the experience ends.
    :raises ValueError: if the interval is not positive.
    """

    STATE: ClassVar[tuple[str, ...]] = ("interval", "adapted")
    needs: tuple[str, ...] = ()
    """What must be kept for its observations: "step_length"."""
    signals_needed = 0
    """Learning signals that must be kept for the interval to adapt at all."""
    at_minimum = False
    """Whether the interval was adapted to the signals and is the shortest that it may become."""

    def __init__(self, initial: int | None = None, merges_at_end: bool = False) -> None:
        if initial is not None and (not isinstance(initial, int) or initial < 1):
            raise ValueError(f"interval: expected a whole number of iterations, at least 1, got {initial}")
        self.initial = initial
        self.merges_at_end = merges_at_end
        self.interval = initial
        self.adapted = False

    def start(self) -> None:
        """A new experience begins: the published code starts everything anew in each task, and so do we."""
        self.interval = self.initial
        self.adapted = False

    def due(self, observation: Observation) -> str | None:
        """Return the reason to merge after this iteration, or None."""
        return "interval" if self.interval is not None and observation.elapsed >= self.interval else None

    @property
    def knows_half(self) -> bool:
        """Whether it is known beforehand when half of an interval will have passed."""
        return self.initial is not None

    def is_half(self, elapsed: int, progress: float | None) -> bool:
        """Whether half of the interval has passed; ``progress`` is the experience's, or None where it is not known."""
        return self.interval is not None and 2 * elapsed >= self.interval

    def adapt(self, merge: DueMerge) -> None:
        """Choose the next interval, after a merge."""


class AdaptingSchedule(Schedule):
    """Base of schedules whose interval follows the learning signal.

    :param initial: S₀, the first interval of each experience.
    :param minimum: S_min.
    :param maximum: S_max.
    :param cold_start: merges before the interval adapts.
    :param patience: activations in one interval that make an early merge.
    :param merges_at_end: see :class:`Schedule`.
    :raises ValueError: if the bounds do not contain S₀, or a count is too small.
    """

    interval: int

    def __init__(
        self, initial: int, minimum: int, maximum: int, cold_start: int, patience: int, merges_at_end: bool
    ) -> None:
        super().__init__(initial, merges_at_end)
        if not 1 <= minimum <= initial <= maximum:
            raise ValueError(
                f"expected 1 <= minimum <= initial <= maximum, got minimum {minimum}, initial {initial} and "
                f"maximum {maximum}"
            )
        if patience < 1 or cold_start < 0:
            raise ValueError(f"expected patience >= 1 and cold_start >= 0, got {patience} and {cold_start}")
        self.minimum, self.maximum = minimum, maximum
        self.cold_start, self.patience = cold_start, patience

    @property
    def at_minimum(self) -> bool:  # type: ignore[override]
        """Whether the interval was adapted to the signals and is the shortest that it may become."""
        return self.adapted and self.interval == self.minimum < self.maximum
