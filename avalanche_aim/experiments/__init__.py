"""Comparisons: named strategies, the runner, and what is shown of the results."""

from .comparison import Comparison
from .configuration import Configuration
from .cost import Cost
from .runner import Result, Settings, run
from .single_task import single_task_scores
from .store import Failure, RunStore
from .strategies import STRATEGIES, Budget, Strategy

__all__ = [
    "STRATEGIES",
    "Budget",
    "Comparison",
    "Configuration",
    "Cost",
    "Failure",
    "Result",
    "RunStore",
    "Settings",
    "Strategy",
    "run",
    "single_task_scores",
]
