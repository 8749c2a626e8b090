from .comparison import Comparison
from .configuration import Configuration
from .result import Cost, Failure, Key, Result
from .runner import Settings, run
from .single_task import single_task_scores
from .store import RunStore
from .strategies import STRATEGIES, Budget, Strategy

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
