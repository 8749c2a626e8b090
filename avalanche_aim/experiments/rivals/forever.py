"""FOREVER: rehearsal on a forgetting curve in the model's own time, held to the past the more the faster it moves."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...merging import ModelTime, snapshot
from ...rehearsal import Rehearsal


class StrengthenedRehearsal(Rehearsal):
    """Rehearsal with a penalty on leaving the last task's weights: + β_t ‖θ − θ*‖².

    β_t = strength · clip(1 + γ (r_t − 1), 0.5, 3), r_t of :class:`ModelTime` and θ* the weights at the end of the
    previous task. The note gives neither γ nor the length of a rehearsal: by default it has as many iterations as have
    passed since the last one, so that it costs what alternation does.

    :param strength: 10⁻³ in the paper; 0 for no penalty.
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
        super().__init__(**per)
        self.time, self.strength, self.gamma = time, strength, gamma
        self._past: list[Tensor] = []

    def start(self, weights: Sequence[Tensor]) -> None:
        self._past = snapshot(weights) if self.strength else []

    @property
    def beta(self) -> float:
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
