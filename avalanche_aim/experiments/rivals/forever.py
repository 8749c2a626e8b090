"""FOREVER: rehearsal on a forgetting curve in the model's own time, held to the past the more the faster it moves."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...merging import Observation, Schedule, snapshot
from ...rehearsal import Rehearsal

FIRST_DAYS = (1, 2, 4, 7, 15, 30)
"""Then each is twice the last."""


class ModelTime(Schedule):
    """Rehearse on days 1, 2, 4, 7, 15, 30, … of a time that passes as fast as the weights move.

    Δ_t = ‖θ_t − θ_{t−1}‖₂, and model time τ_t = Σ Δ from 0 in each task. The first ``calibration`` iterations make one
    virtual day, τ_day = Σ_{t≤S} Δ_t, and the baseline μ₀ = τ_day / S. From then on μ_t = (1 − ρ) μ_{t−1} + ρ Δ_t, and
    :attr:`intensity` is r_t = μ_t / μ₀. Source: arXiv 2601.03938, in a third party's note. What rehearsal itself moves
    does not count; the note does not say.

    :param calibration: S.
    :param spacing: days from one rehearsal to the next, all alike, instead of the forgetting curve; 0 is every
        iteration.
    :param smoothing: ρ.
    :raises ValueError: for a value out of range.
    """

    needs = ("step_length",)
    STATE = ("interval", "adapted", "iterations", "time", "day", "rehearsals", "speed")

    def __init__(self, calibration: int = 24, spacing: float | None = None, smoothing: float = 0.05) -> None:
        super().__init__(None)
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


class StrengthenedRehearsal(Rehearsal):
    """Rehearsal with a penalty on leaving the last task's weights: + β_t ‖θ − θ*‖².

    β_t = strength · clip(1 + γ (r_t − 1), 0.5, 3), r_t of :class:`ModelTime` and θ* the weights at the end of the
    previous task. The note gives neither γ nor the length of a rehearsal: by default it has as many iterations as have
    passed since the last one, so that it costs what alternation does.

    :param time: the schedule.
    :param strength: 10⁻³ in the paper; 0 for no penalty.
    :param gamma: γ.
    :param iterations: of each rehearsal; as many as have passed by default.
    :raises ValueError: for a negative strength or γ, or less than one iteration.
    """

    def __init__(
        self, time: ModelTime, strength: float = 1e-3, gamma: float = 1.0, iterations: int | None = None
    ) -> None:
        if not 0 <= strength < math.inf or not 0 <= gamma < math.inf:
            raise ValueError(f"strength and gamma: expected 0 or more, got {strength} and {gamma}")
        if iterations is not None and iterations < 1:
            raise ValueError(f"iterations: expected 1 or more of each rehearsal, got {iterations}")
        per: dict[str, Any] = {} if iterations is None else {"ratio": float(iterations), "per": "merge"}
        super().__init__(**per, monitor_every=None)
        self.time, self.strength, self.gamma = time, strength, gamma
        self._past: list[Tensor] = []

    def start(self, weights: Sequence[Tensor]) -> None:
        self._past = snapshot(weights) if self.strength else []

    @property
    def beta(self) -> float:
        """β_t."""
        return self.strength * min(3.0, max(0.5, 1 + self.gamma * (self.time.intensity - 1)))

    def penalty(self, weights: Sequence[Tensor]) -> Tensor | None:
        if not self._past:
            return None
        squares = [(weight - past).square().sum() for weight, past in zip(weights, self._past, strict=True)]
        return self.beta * torch.stack(squares).sum()

    def state_dict(self, weights: list[Tensor]) -> dict[str, Any]:
        return {**super().state_dict(weights), "past": self._past}

    def load_state_dict(self, state: dict[str, Any], weights: list[Tensor]) -> None:
        self._past = state["past"]
        super().load_state_dict({name: value for name, value in state.items() if name != "past"}, weights)
