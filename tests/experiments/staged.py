"""A comparison without training: what its stand-ins were asked for, and what they do."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from avalanche_aim.experiments.comparison import Key


@dataclass
class Stage:
    """What the stand-ins in the place of runs, models and references were asked for, and which runs go wrong."""

    runs: list[Key] = field(default_factory=list)
    options: list[dict[str, Any] | None] = field(default_factory=list)
    models: list[int] = field(default_factory=list)
    references: list[int] = field(default_factory=list)
    errors: dict[str, BaseException] = field(default_factory=dict)
    during: dict[str, Callable[[], Any]] = field(default_factory=dict)
    """What happens while a strategy runs."""
