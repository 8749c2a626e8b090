"""Text as an Avalanche stream, and language models that Avalanche strategies can hold."""

from .benchmark import standard_cl, text_benchmark
from .generation import generate
from .layouts import DataWarning, read_tasks
from .model import LanguageModel
from .orders import STANDARD_CL
from .sources import DEFAULT_MODEL, resolve_model
from .tasks import TextExample, TextTask

__all__ = [
    "DEFAULT_MODEL",
    "STANDARD_CL",
    "DataWarning",
    "LanguageModel",
    "TextExample",
    "TextTask",
    "generate",
    "read_tasks",
    "resolve_model",
    "standard_cl",
    "text_benchmark",
]
