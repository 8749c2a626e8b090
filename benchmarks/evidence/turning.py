"""An interval that is read off the run: docs/beyond.md tells how it did."""

from avalanche_aim.merging import Observation, Schedule


class Turning(Schedule):
    """Merge once the weights no longer lead on: when Σ|θ − θ_prev| after t iterations is less than ``growth`` times
    what it was after t/2. It doubles on a straight way, and grows by √2 on a random walk.

    :param growth: below this a merge is due.
    :param minimum: iterations of the shortest interval.
    """

    STATE = ("interval", "adapted", "way")

    def __init__(self, growth: float = 2**0.5, minimum: int = 8) -> None:
        super().__init__(None, merges_at_end=True)
        self.growth, self.minimum = growth, minimum
        self.way: list[float] = []

    def due(self, observation: Observation) -> str | None:
        t = observation.elapsed
        self.way = [*self.way[: t - 1], observation.movement]
        if t < self.minimum or t % 2 or self.way[-1] >= self.growth * self.way[t // 2 - 1]:
            return None
        return "turned"
