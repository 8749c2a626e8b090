"""Merges in the model's own time, which passes as fast as the weights move."""

import math

from ..observation import Observation
from .schedule import Schedule

FIRST_DAYS = (1, 2, 4, 7, 15, 30)
"""Then each is twice the last."""


class ModelTime(Schedule):
    """Merge on days 1, 2, 4, 7, 15, 30, … of a time that passes as fast as the weights move, as FOREVER rehearses.

    Δ_t = ‖θ_t − θ_{t−1}‖₂, and model time τ_t = Σ Δ from 0 in each task. The first ``calibration`` iterations make one
    virtual day, τ_day = Σ_{t≤S} Δ_t, and the baseline μ₀ = τ_day / S. From then on μ_t = (1 − ρ) μ_{t−1} + ρ Δ_t, and
    :attr:`intensity` is r_t = μ_t / μ₀. Source: arXiv 2601.03938, in a third party's note. What rehearsal itself moves
    does not count; the note does not say.

    :param calibration: S.
    :param spacing: days from one rehearsal to the next, all alike, instead of the forgetting curve; 0 is every
        iteration.
    :param smoothing: ρ.
    :param merges_at_end: whether what is left unmerged is merged when the experience ends.
    :raises ValueError: for a value out of range.
    """

    needs = ("step_length",)
    STATE = ("interval", "adapted", "iterations", "time", "day", "rehearsals", "speed")

    def __init__(
        self,
        calibration: int = 24,
        spacing: float | None = None,
        smoothing: float = 0.05,
        merges_at_end: bool = False,
    ) -> None:
        super().__init__(None, merges_at_end)
        if calibration < 1:
            raise ValueError(f"calibration: expected 1 iteration or more, got {calibration}")
        if spacing is not None and not 0 <= spacing < math.inf:
            raise ValueError(f"spacing: expected 0 days or more, or None for the forgetting curve, got {spacing}")
        if not 0 < smoothing <= 1:
            raise ValueError(f"smoothing: expected a number in (0, 1], got {smoothing}")
        self.calibration, self.spacing, self.smoothing = calibration, spacing, smoothing
        self.start()

    def start(self) -> None:
        super().start()
        self.iterations = self.rehearsals = 0
        self.time = self.day = self.speed = 0.0

    @property
    def intensity(self) -> float:
        """r_t; 1 while the day is not known, and where nothing moved in it."""
        return self.speed * self.calibration / self.day if self.day > 0 else 1.0

    def due(self, observation: Observation) -> str | None:
        step = observation.step_length
        self.iterations += 1
        self.time += step
        if self.iterations < self.calibration:
            return None
        if self.iterations == self.calibration:
            self.day, self.speed = self.time, self.time / self.calibration
        else:
            self.speed = (1 - self.smoothing) * self.speed + self.smoothing * step
        if self.time < self._next_day() * self.day:
            return None
        self.rehearsals += 1
        while self.spacing != 0 and self.day > 0 and self.time >= self._next_day() * self.day:
            self.rehearsals += 1  # days that one long step skipped
        return "day"

    def _next_day(self) -> float:
        if self.spacing is not None:
            return self.spacing * (self.rehearsals + 1)
        later = self.rehearsals - len(FIRST_DAYS) + 1
        return FIRST_DAYS[self.rehearsals] if later <= 0 else FIRST_DAYS[-1] * 2.0**later
