"""Merges at random distances."""

import random
from typing import Any

from ..observation import DueMerge
from .schedule import Schedule


class RandomInterval(Schedule):
    """Merge after a random number of iterations, uniform on 1 … 2·mean − 1.

    :param mean: the mean interval, in iterations.
    :param seed: of this schedule's own generator; no other random stream is touched.
    :param merges_at_end: whether what is left unmerged is merged when the experience ends.
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
