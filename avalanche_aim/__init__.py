"""AIMMerging for Avalanche: continual learning of language models by adaptive iterative model merging."""

from typing import TYPE_CHECKING

from ._lazy import lazy_exports

if TYPE_CHECKING:
    from .checkpoint import CheckpointPlugin
    from .data_order import DataOrder
    from .distributed import DataParallel
    from .gradients import GradientStep
    from .learning_rate import LearningRateSchedule
    from .memory import RehearsalMemory
    from .plugin import AIMMergingPlugin
    from .text import LanguageModel, TextTask, long_sequence, standard_cl, superni, text_benchmark

__version__ = "0.1.0"

__all__ = [
    "AIMMergingPlugin",
    "CheckpointPlugin",
    "DataOrder",
    "DataParallel",
    "GradientStep",
    "LanguageModel",
    "LearningRateSchedule",
    "RehearsalMemory",
    "TextTask",
    "long_sequence",
    "standard_cl",
    "superni",
    "text_benchmark",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "AIMMergingPlugin": ".plugin",
        "CheckpointPlugin": ".checkpoint",
        "DataOrder": ".data_order",
        "DataParallel": ".distributed",
        "GradientStep": ".gradients",
        "LanguageModel": ".text.model",
        "LearningRateSchedule": ".learning_rate",
        "RehearsalMemory": ".memory",
        "TextTask": ".text.tasks",
        "long_sequence": ".text.benchmark",
        "standard_cl": ".text.benchmark",
        "superni": ".text.benchmark",
        "text_benchmark": ".text.benchmark",
    },
)
