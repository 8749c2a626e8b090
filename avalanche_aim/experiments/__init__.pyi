from .comparison import Comparison
from .configuration import Configuration, Settings
from .result import Cost, Failure, Key, Result
from .runner import run
from .single_task import single_task_scores
from .store import RunStore
from .strategies import STRATEGIES
from .strategy import Budget, Strategy

__all__ = [
    "STRATEGIES",
    "Budget",
    "Comparison",
    "Configuration",
    "Cost",
    "Failure",
    "Key",
    "Result",
    "RunStore",
    "Settings",
    "Strategy",
    "run",
    "single_task_scores",
]
