"""MagMax: each weight takes the largest step that any task made of it."""

from typing import Any

import torch
from torch import Tensor

from .evaluated import ChosenWeights, EvaluatedWeights, trainable


class MagMax(EvaluatedWeights, supports_distributed=True):  # type: ignore[call-arg]
    """Sequential training; evaluated is θ₀ + scale · τ, where each number of τ is that of the largest task vector.

    The task vectors are τ_t = θ_t − θ₀, θ_t the weights at the end of task t; of two that are equally large the later
    counts. Data-free. Source: Marczak et al. 2024, arXiv 2407.06322; ``scale`` is that of its public scripts.

    :raises ValueError: for a scale that is not positive.
    """

    STATE = (*EvaluatedWeights.STATE, "origin", "largest")

    def __init__(self, scale: float = 0.5) -> None:
        if not scale > 0:
            raise ValueError(f"scale: expected a positive number, got {scale}")
        self.slow: ChosenWeights
        super().__init__(ChosenWeights())
        self.scale = scale
        self.origin: dict[str, Tensor] = {}
        self.largest: dict[str, Tensor] = {}

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        super().before_training_exp(strategy)
        if not self.origin:
            self.origin = {name: weight.detach().clone() for name, weight in trainable(strategy.model).items()}
            self.largest = {name: torch.zeros_like(weight) for name, weight in self.origin.items()}

    @torch.no_grad()
    def after_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Take what this task moved further than any before it."""
        merged = {}
        for name, weight in trainable(strategy.model).items():
            vector, largest = weight - self.origin[name], self.largest[name]
            self.largest[name] = torch.where(vector.abs() >= largest.abs(), vector, largest)
            merged[name] = self.origin[name] + self.scale * self.largest[name]
        self.slow.choose(merged)
