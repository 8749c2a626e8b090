"""Named choices: the paper's text, the published code, and the paper's method at a lower cost.

See docs/method.md for where the first two differ, and docs/cost.md for what the third saves.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from ..rehearsal.fine_tuning import MemoryOptimizer
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
    :param memory_lr_factor: the learning rates of memory iterations, as a multiple of the training's.
    :param monitor_mode: "eval" (no dropout) or "train" for the historical loss.
    :param monitor_batch_size: examples of the historical loss's batch, as a share of the training batch; None for those
        of a memory batch.
    :param monitor_every: iterations from one historical loss to the next.
    :param relax_below: share of the threshold below which that distance doubles.
    """

    schedule: Callable[[], Schedule]
    weights: Weighting
    window: int | None
    threshold_factor: float
    extra_losses: int
    memory_optimizer: MemoryOptimizer
    max_grad_norm: float
    monitor_mode: str
    memory_lr_factor: float = 1.0
    monitor_batch_size: float | None = None
    monitor_every: int = 1
    relax_below: float = 0.0


# L_w and the monitoring mode are ours; so is the optimizer state, chosen on dev data (docs/results.md).
_PAPER = Preset(
    schedule=AdaptiveInterval,
    weights=SignalWeights(),
    window=5,
    threshold_factor=2.0,
    extra_losses=0,
    memory_optimizer="own",
    max_grad_norm=float("inf"),
    monitor_mode="eval",
)

PRESETS: dict[str, Preset] = {
    "paper": _PAPER,
    # A fifth of the memory iterations, four times as long: shorter ones leave merges to undo training, and smaller
    # batches did worse for the same number of examples (docs/cost.md).
    "economical": replace(
        _PAPER,
        schedule=partial(AdaptiveInterval, memory_ratio=0.2),
        memory_lr_factor=4.0,
        monitor_batch_size=0.25,
        monitor_every=4,
        relax_below=0.5,
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

    :param name: "paper", "economical" or "reference".
    :raises ValueError: for another name.
    """
    if name not in PRESETS:
        raise ValueError(f"preset: expected one of {sorted(PRESETS)}, got {name!r}")
    return PRESETS[name]
