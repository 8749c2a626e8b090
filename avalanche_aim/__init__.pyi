from .checkpoint import CheckpointPlugin
from .distributed import DataParallel
from .plugin import AIMMergingPlugin
from .rehearsal.memory import RehearsalMemory
from .text.data.tasks import TextTask
from .text.model.language_model import LanguageModel
from .text.stream.benchmark import long_sequence, standard_cl, superni, text_benchmark
from .trainer import AIMCallback
from .training.data_order import DataOrder
from .training.gradients import GradientStep
from .training.learning_rate import LearningRateSchedule

__all__ = [
    "AIMCallback",
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

__version__: str
