"""Merges that are planned beforehand, whatever the signals say."""

import random
from typing import Any

from ..observation import DueMerge, Observation
from .schedule import Schedule


class FixedInterval(Schedule):
    """Merge every ``n`` iterations."""

    def __init__(self, n: int = 8, merges_at_end: bool = False) -> None:
        super().__init__(n, merges_at_end)


class RandomInterval(Schedule):
    """Merge after a random number of iterations, uniform on 1 … 2·mean − 1.

    :param seed: of this schedule's own generator; no other random stream is touched.
    """

    STATE = ("interval", "random_state")

    def __init__(self, mean: int = 8, seed: int = 0, merges_at_end: bool = False) -> None:
        super().__init__(mean, merges_at_end)
        self.mean = mean
        self._random = random.Random(seed)

    def start(self) -> None:
        self._draw()

    def adapt(self, merge: DueMerge) -> None:
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
    """Merge once, when the experience ends."""

    def __init__(self) -> None:
        super().__init__(None, merges_at_end=True)


class SharesOfTask(Schedule):
    """Merge when 1/n, 2/n, … of the task's iterations have passed, and at its end.

    So the horizon over which a merge averages is a share of the task: few, long merges cost little of what was learned,
    as the weights have settled by then, and nothing is left unmerged. docs/beyond.md has what n is worth.

    :param merges: n, of each task.
    :raises ValueError: for less than one; in training, where the number of iterations is not known.
    """

    STATE = (*Schedule.STATE, "done")

    def __init__(self, merges: int = 3) -> None:
        super().__init__(None, merges_at_end=True)
        if isinstance(merges, bool) or not isinstance(merges, int) or merges < 1:
            raise ValueError(f"merges: expected 1 or more in a task, got {merges!r:.80}")
        self.merges = merges
        self.done = 0

    def start(self) -> None:
        super().start()
        self.done = 0

    @property
    def knows_half(self) -> bool:
        return True

    def is_half(self, elapsed: int, progress: float | None) -> bool:
        return int((progress or 0.0) * 2 * self.merges + 1e-9) > 2 * self.done

    def due(self, observation: Observation) -> str | None:
        passed = int(observation.progress * self.merges + 1e-9)  # 0.29 · 100 is 28.999…
        return "share" if self.done < passed < self.merges else None

    def adapt(self, merge: DueMerge) -> None:
        self.done = int((merge.progress or 0.0) * self.merges + 1e-9)
