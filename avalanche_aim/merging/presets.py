"""The two readings of AIMMerging by name: the paper's text and the published code.

See docs/method.md for where they differ.
"""

from collections.abc import Callable
from dataclasses import dataclass

from .optimizer import MemoryOptimizer
from .schedule import AdaptiveInterval, ReferenceInterval, Schedule
from .weights import ReferenceWeights, SignalWeights, Weighting


@dataclass(frozen=True)
class Preset:
    """Every choice that one reading of the method makes.

    :param schedule: makes the schedule.
    :param weights: chooses α₁ and α₂.
    :param window: learning signals kept (L_w), or None for all of the experience.
    :param threshold_factor: of the mean historical loss.
    :param extra_losses: losses beyond two thirds of the interval that enter that mean.
    :param memory_optimizer: whose optimizer state fine-tunes on the memory.
    :param max_grad_norm: the gradient norm at which memory iterations are clipped.
    :param monitor_mode: "eval" (no dropout) or "train" for the historical loss.
    """

    schedule: Callable[[], Schedule]
    weights: Weighting
    window: int | None
    threshold_factor: float
    extra_losses: int
    memory_optimizer: MemoryOptimizer
    max_grad_norm: float
    monitor_mode: str


PRESETS: dict[str, Preset] = {
    # L_w and the monitoring mode are ours; so is the optimizer state, chosen on dev data (docs/results.md).
    "paper": Preset(
        schedule=AdaptiveInterval,
        weights=SignalWeights(),
        window=5,
        threshold_factor=2.0,
        extra_losses=0,
        memory_optimizer="own",
        max_grad_norm=float("inf"),
        monitor_mode="eval",
    ),
    "reference": Preset(
        schedule=ReferenceInterval,
        weights=ReferenceWeights(),
        window=None,
        threshold_factor=2.0,
        extra_losses=1,
        memory_optimizer="shared",
        max_grad_norm=1.0,
        monitor_mode="train",
    ),
}


def preset(name: str) -> Preset:
    """Return a preset by name.

    :param name: "paper" or "reference".
    :raises ValueError: for another name.
    """
    if name not in PRESETS:
        raise ValueError(f"preset: expected one of {sorted(PRESETS)}, got {name!r}")
    return PRESETS[name]
