"""Rehearsal-based fusion: fine-tune on the memory, then merge; or leave the trained weights as they are."""

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .controller import Decision
from .engine import Engine
from .rollback import drop_non_finite
from .rules import Rule, merge_
from .task_vectors import kept_share, movement, restore_, snapshot


@dataclass(frozen=True)
class Fused:
    """What came of a merge.

    :param losses: those of the memory iterations.
    :param kept: the share of τ_new that was kept; None if the merge was given up or nothing had moved.
    :param culprit: what was not finite, where the merge was given up and the trained weights kept.
    """

    losses: list[float]
    kept: float | None = None
    culprit: str | None = None


class Fusion:
    """Makes the merges that were decided.

    :param rule: how task vectors become weights.
    :param rehearsal: fine-tunes on the memory; None where there is none, and τ_past is zero.
    """

    def __init__(self, rule: Rule, rehearsal: Any) -> None:
        self.rule = rule
        self.rehearsal = rehearsal

    def merge(self, engine: Engine, weights: list[Tensor], previous: list[Tensor], decision: Decision) -> Fused:
        """Merge in place; after an error, Ctrl-C too, the weights are those before: never half merged.

        :param engine: the training.
        :param weights: the trainable weights, θ_j.
        :param previous: θ_prev.
        :param decision: with which coefficients, after how many memory iterations.
        """
        trained = snapshot(weights)
        try:
            fused = self._merge(engine, weights, previous, trained, decision)
        except BaseException:
            restore_(weights, trained)
            raise
        if fused.culprit is not None:
            restore_(weights, trained)
        return fused

    def _merge(
        self, engine: Engine, weights: list[Tensor], previous: list[Tensor], trained: list[Tensor], decision: Decision
    ) -> Fused:
        losses: list[float] = []
        if self.rehearsal is not None and decision.memory_iterations:
            losses = self.rehearsal.fine_tune(engine, weights, decision.memory_iterations)
            if not all(map(math.isfinite, losses)):  # such a step was not taken
                return Fused(losses, culprit="the memory fine-tuning")
            if not math.isfinite(movement(weights, trained)):
                drop_non_finite(engine.optimizer.state)
                self.rehearsal.drop_non_finite()
                return Fused(losses, culprit="the memory fine-tuning")
        merge_(weights, previous, trained, decision.coefficients, self.rule)
        if not math.isfinite(movement(weights, previous)):
            return Fused(losses, culprit="the merge")
        return Fused(losses, kept_share(weights, previous, trained))
