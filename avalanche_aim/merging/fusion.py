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


def fuse(
    engine: Engine, weights: list[Tensor], previous: list[Tensor], decision: Decision, rule: Rule, rehearsal: Any
) -> Fused:
    """Make a merge, in place; after an error, Ctrl-C too, the weights are those before: never half merged.

    :param weights: θ_j.
    :param previous: θ_prev.
    :param rehearsal: fine-tunes on the memory; None where there is none, and τ_past is zero.
    """
    trained = snapshot(weights)
    try:
        fused = _fused(engine, weights, previous, trained, decision, rule, rehearsal)
    except BaseException:
        restore_(weights, trained)
        raise
    if fused.culprit is not None:
        restore_(weights, trained)
    return fused


def _fused(
    engine: Engine,
    weights: list[Tensor],
    previous: list[Tensor],
    trained: list[Tensor],
    decision: Decision,
    rule: Rule,
    rehearsal: Any,
) -> Fused:
    losses: list[float] = []
    if rehearsal is not None and decision.memory_iterations:
        losses = rehearsal.fine_tune(engine, weights, decision.memory_iterations)
        if not all(map(math.isfinite, losses)):  # such a step was not taken
            return Fused(losses, culprit="the memory fine-tuning")
        if not math.isfinite(movement(weights, trained)):
            drop_non_finite(engine.optimizer.state)
            rehearsal.drop_non_finite()
            return Fused(losses, culprit="the memory fine-tuning")
    merge_(weights, previous, trained, decision.coefficients, rule)
    if not math.isfinite(movement(weights, previous)):
        return Fused(losses, culprit="the merge")
    return Fused(losses, kept_share(weights, previous, trained))
