"""Comparisons: named strategies, the runner, and what is shown of the results."""

from .runner import Result, Settings, run
from .single_task import single_task_scores
from .strategies import STRATEGIES

__all__ = ["STRATEGIES", "Result", "Settings", "run", "single_task_scores"]
