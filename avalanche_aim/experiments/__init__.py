"""Comparisons: named strategies, the runner, and what is shown of the results."""

from .runner import Result, Settings, run
from .strategies import STRATEGIES

__all__ = ["STRATEGIES", "Result", "Settings", "run"]
