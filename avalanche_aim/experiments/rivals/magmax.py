"""MagMax: each weight takes the largest step that any task made of it."""

from typing import Any

import torch
from torch import Tensor

from .evaluated import ChosenWeights, EvaluatedWeights, trainable


class MagMax(EvaluatedWeights, supports_distributed=True):  # type: ignore[call-arg]
    """Sequential training; evaluated is θ₀ + scale · τ, where each number of τ is that of the largest task vector.

    The task vectors are τ_t = θ_t − θ₀, θ_t the weights at the end of task t; of two that are equally large the later
    counts. Data-free. Source: Marczak et al. 2024, arXiv 2407.06322; ``scale`` is that of its public scripts.

    :param scale: λ.
    :raises ValueError: for a scale that is not positive.
    """

    def __init__(self, scale: float = 0.5) -> None:
        if not scale > 0:
            raise ValueError(f"scale: expected a positive number, got {scale}")
        self.slow: ChosenWeights
        super().__init__(ChosenWeights())
        self.scale = scale
        self._origin: dict[str, Tensor] = {}
        self._largest: dict[str, Tensor] = {}

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Keep θ₀."""
        super().before_training_exp(strategy)
        if not self._origin:
            self._origin = {name: weight.detach().clone() for name, weight in trainable(strategy.model).items()}
            self._largest = {name: torch.zeros_like(weight) for name, weight in self._origin.items()}

    @torch.no_grad()
    def after_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Take what this task moved further than any before it."""
        merged = {}
        for name, weight in trainable(strategy.model).items():
            vector, largest = weight - self._origin[name], self._largest[name]
            self._largest[name] = torch.where(vector.abs() >= largest.abs(), vector, largest)
            merged[name] = self._origin[name] + self.scale * self._largest[name]
        self.slow.choose(merged)

    def state_dict(self) -> dict[str, Any]:
        """Return θ₀, the largest task vector and what is evaluated."""
        return {**super().state_dict(), "origin": dict(self._origin), "largest": dict(self._largest)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        :param state: the state.
        """
        super().load_state_dict(state)
        self._origin, self._largest = dict(state["origin"]), dict(state["largest"])
