"""Named choices of settings."""

from collections.abc import Mapping
from typing import Any

RECIPES: dict[str, Mapping[str, Any]] = {
    "paper": {
        "lora": True,
        "lora_rank": 8,
        "lora_alpha": 32,
        "lora_dropout": 0.05,
        "lora_targets": (),
        "optimizer": "adamw",
        "learning_rate": 3e-4,
        "weight_decay": 0.0,
        "schedule": "linear",
        "warmup": 50,
        "max_grad_norm": 1.0,
        "batch_size": 32,
        "epochs": 10,
        "memory": 0.02,
        "memory_per_label": 1,
    },
}
"""Name → settings; others that are given win. "paper" trains as the code published with arXiv 2509.17348 does."""


def recipe(name: Any) -> Mapping[str, Any]:
    """Return the settings of a recipe.

    :raises ValueError: for an unknown one.
    """
    if name is None:
        return {}
    if not isinstance(name, str) or name not in RECIPES:
        raise ValueError(f"recipe: expected one of {', '.join(RECIPES)}, got {name!r:.200}")
    return RECIPES[name]
