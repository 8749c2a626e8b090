"""When to merge: adaptive (the paper), as the published code does it, fixed, random, or once per task.

A schedule counts nothing itself: it is asked after every monitored iteration whether a merge is due, and after
every merge to choose the next interval.
"""

import math
import random
from typing import Any, ClassVar

from .signals import ForgettingSignal, LearningSignal
from .state import Stateful


class Schedule(Stateful):
    """Base of all schedules.

    :param initial: the planned length of the first interval, in iterations, or None where none is planned.
    :param memory_ratio: memory iterations per training iteration of the interval (1.0 in the paper), rounded to whole
        ones and never none unless it is 0.
    :raises ValueError: if the interval is not positive or the ratio negative.
    """

    STATE: ClassVar[tuple[str, ...]] = ("interval",)
    merges_at_end = False
    """Whether a merge is also due when the experience ends."""
    signals_needed = 0
    """Learning signals that must be kept for the interval to adapt at all."""

    def __init__(self, initial: int | None, memory_ratio: float = 1.0) -> None:
        if initial is not None and (not isinstance(initial, int) or initial < 1):
            raise ValueError(f"interval: expected a whole number of iterations, at least 1, got {initial}")
        if memory_ratio < 0:
            raise ValueError(f"memory_ratio: expected 0 or more memory iterations an iteration, got {memory_ratio}")
        self.initial = initial
        self.memory_ratio = memory_ratio
        self.interval = initial

    def start(self) -> None:
        """A new experience begins: the published code starts everything anew in each task, and so do we."""
        self.interval = self.initial

    def due(self, elapsed: int, forgetting: ForgettingSignal) -> str | None:
        """Say whether to merge now.

        :param elapsed: iterations since the previous merge (or since the experience began), from 1.
        :param forgetting: the forgetting signal, this iteration included.
        :return: the reason to merge, or None.
        """
        return "interval" if self.interval is not None and elapsed >= self.interval else None

    def memory_iterations(self, elapsed: int) -> int:
        """How many iterations the memory fine-tuning of this merge has.

        :param elapsed: iterations since the previous merge.
        """
        iterations = round(elapsed * self.memory_ratio)
        return max(1, iterations) if self.memory_ratio else 0  # without any, a merge would only undo training

    def learning_iterations(self, elapsed: int) -> int:
        """What the learning signal of this merge is divided by: the iterations that passed."""
        return elapsed

    def adapt(self, learning: LearningSignal) -> None:
        """Choose the next interval.

        :param learning: the learning signal, this merge included.
        """

    def at_minimum(self, learning: LearningSignal) -> bool:
        """Whether the interval was adapted to the signals and is the shortest that it may become.

        :param learning: the learning signal, this merge included.
        """
        return False


class AdaptiveInterval(Schedule):
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
    :param memory_ratio: memory iterations per training iteration.
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
        memory_ratio: float = 1.0,
    ) -> None:
        super().__init__(initial, memory_ratio)
        _check_bounds(initial, minimum, maximum)
        _check_counts(patience, cold_start)
        if growth <= 1 or shrink <= 1:
            raise ValueError(f"growth and shrink: expected factors above 1, got {growth} and {shrink}")
        self.minimum, self.maximum = minimum, maximum
        self.growth, self.shrink = growth, shrink
        self.cold_start, self.patience = cold_start, patience
        self.signals_needed = cold_start + 1

    def due(self, elapsed: int, forgetting: ForgettingSignal) -> str | None:
        if forgetting.activations >= self.patience:
            return "forgetting"
        return super().due(elapsed, forgetting)

    def adapt(self, learning: LearningSignal) -> None:
        assert self.interval is not None
        if len(learning.values) <= self.cold_start:
            return
        if learning.upward > learning.downward:
            self.interval = max(self.minimum, math.floor(_clean(self.interval / self.shrink)))
        elif learning.downward > learning.upward:
            self.interval = min(self.maximum, math.ceil(_clean(self.interval * self.growth)))

    def at_minimum(self, learning: LearningSignal) -> bool:
        return len(learning.values) >= self.signals_needed and self.interval == self.minimum < self.maximum


class ReferenceInterval(Schedule):
    """The published code's controller, decision for decision.

    S is a minimum here: a merge needs S iterations and one activation, or three activations, and once 2S
    iterations have passed each further one counts as an activation (*forced*). The interval follows the ratio
    of the last two learning signals. Every literal of that code is a parameter.

    :param initial: S₀.
    :param initial_memory_iterations: M₀; later M = ⌊S · M₀/S₀⌋, which can be 0. Defaults to S₀.
    :param minimum: lower bound of S.
    :param maximum: upper bound of S.
    :param cold_start: signals beyond which the interval adapts.
    :param patience: activations that make an early merge.
    :param halve_from: after shrinking, an S of at least this is halved; below it growth adds
        ``growth_below`` to the ratio, from it on ``growth_above``.
    :param growth_below: see ``halve_from``.
    :param growth_above: see ``halve_from``.
    :param adaptive: False keeps S at S₀.
    :raises ValueError: if the bounds do not contain S₀.
    """

    STATE = ("interval", "current_memory_iterations")

    def __init__(
        self,
        initial: int = 8,
        initial_memory_iterations: int | None = None,
        minimum: int = 2,
        maximum: int = 128,
        cold_start: int = 3,
        patience: int = 3,
        halve_from: int = 64,
        growth_below: float = 1.0,
        growth_above: float = 0.5,
        adaptive: bool = True,
    ) -> None:
        memory_iterations = initial if initial_memory_iterations is None else initial_memory_iterations
        super().__init__(initial, memory_iterations / initial if initial else 0.0)
        _check_bounds(initial, minimum, maximum)
        _check_counts(patience, cold_start)
        self.initial_memory_iterations = memory_iterations
        self.current_memory_iterations = memory_iterations
        self.minimum, self.maximum = minimum, maximum
        self.cold_start, self.patience = cold_start, patience
        self.signals_needed = cold_start + 2
        self.halve_from, self.growth_below, self.growth_above = halve_from, growth_below, growth_above
        self.adaptive = adaptive

    def start(self) -> None:
        super().start()
        self.current_memory_iterations = self.initial_memory_iterations

    def due(self, elapsed: int, forgetting: ForgettingSignal) -> str | None:
        assert self.interval is not None
        if forgetting.status == "quiet" and elapsed >= 2 * self.interval:
            forgetting.force()
        if forgetting.activations >= self.patience or (elapsed >= self.interval and forgetting.activations >= 1):
            return {"active": "activation", "forced": "forced"}.get(forgetting.status, "waiting")
        return None

    def memory_iterations(self, elapsed: int) -> int:
        return self.current_memory_iterations

    def learning_iterations(self, elapsed: int) -> int:
        # The published code divides by the interval in force, not by the iterations that really passed.
        assert self.interval is not None
        return self.interval

    def adapt(self, learning: LearningSignal) -> None:
        assert self.interval is not None
        earlier = len(learning.values) - 1
        if not self.adaptive or earlier <= self.cold_start:
            return
        previous, current = learning.values[-2:]
        if current >= previous:
            ratio = _ratio(current, previous)
            self.interval = max(self.minimum, int(self.interval / ratio))
            if self.interval >= self.halve_from:
                self.interval = int(self.interval / 2)
        else:
            bonus = self.growth_below if self.interval < self.halve_from else self.growth_above
            grown = self.interval * (_ratio(previous, current) + bonus)
            self.interval = int(min(self.maximum, grown))
        self.current_memory_iterations = int(self.interval * self.memory_ratio)

    def at_minimum(self, learning: LearningSignal) -> bool:
        adapted = self.adaptive and len(learning.values) >= self.signals_needed
        return adapted and self.interval == self.minimum < self.maximum


class FixedInterval(Schedule):
    """Merge every ``n`` iterations.

    :param n: the interval, in iterations.
    :param memory_ratio: memory iterations per training iteration.
    """

    def __init__(self, n: int, memory_ratio: float = 1.0) -> None:
        super().__init__(n, memory_ratio)


class RandomInterval(Schedule):
    """Merge after a random number of iterations, uniform on 1 … 2·mean − 1.

    :param mean: the mean interval, in iterations.
    :param seed: of this schedule's own generator; no other random stream is touched.
    :param memory_ratio: memory iterations per training iteration.
    """

    STATE = ("interval", "random_state")

    def __init__(self, mean: int, seed: int = 0, memory_ratio: float = 1.0) -> None:
        super().__init__(mean, memory_ratio)
        self.mean = mean
        self._random = random.Random(seed)

    def start(self) -> None:
        self._draw()

    def adapt(self, learning: LearningSignal) -> None:
        self._draw()

    def _draw(self) -> None:
        self.interval = self._random.randint(1, 2 * self.mean - 1)

    @property
    def random_state(self) -> list[Any]:
        """The generator's state as plain data."""
        version, words, gauss = self._random.getstate()
        return [version, list(words), gauss]

    @random_state.setter
    def random_state(self, state: list[Any]) -> None:
        version, words, gauss = state
        self._random.setstate((version, tuple(words), gauss))


class OncePerTask(Schedule):
    """Merge once, when the experience ends.

    :param memory_ratio: memory iterations per training iteration of the experience.
    """

    merges_at_end = True

    def __init__(self, memory_ratio: float = 1.0) -> None:
        super().__init__(None, memory_ratio)


def _check_bounds(initial: int, minimum: int, maximum: int) -> None:
    if not 1 <= minimum <= initial <= maximum:
        raise ValueError(
            f"expected 1 <= minimum <= initial <= maximum, got minimum {minimum}, initial {initial} and "
            f"maximum {maximum}"
        )


def _check_counts(patience: int, cold_start: int) -> None:
    if patience < 1 or cold_start < 0:
        raise ValueError(f"expected patience >= 1 and cold_start >= 0, got {patience} and {cold_start}")


def _clean(value: float) -> float:
    """Without the noise of binary fractions: 50 · 1.1 is 55, not a little more."""
    return round(value, 9)


def _ratio(larger: float, smaller: float) -> float:
    """``larger / smaller`` with the limits that a division by zero stands for."""
    if smaller == 0:
        return 1.0 if larger == 0 else math.inf
    return larger / smaller
