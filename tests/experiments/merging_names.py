"""Strategies that differ in their settings alone."""

from typing import Any

from avalanche_aim.experiments import STRATEGIES, Budget
from avalanche_aim.merging import PRESETS

MERGING = (
    "aim",
    *(f"aim-{name}" for name in PRESETS),
    "aim-replay",
    "fixed-interval",
    "random-interval",
    "single-merge",
)
"""AIM, the default first, and its controls."""

BUDGET = Budget(memory=7, seed=0, batch_size=4, sizes=(40, 20, 30))


def plugins_of(name: str, budget: Budget = BUDGET, **options: Any) -> list[Any]:
    """Return the plugins that a strategy brings."""
    return STRATEGIES[name].arguments(budget, **options).get("plugins", [])
