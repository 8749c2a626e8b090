"""Text as an Avalanche stream, and language models that Avalanche strategies can hold."""

from .benchmark import standard_cl, text_benchmark
from .generation import generate
from .model import LanguageModel
from .orders import STANDARD_CL
from .readers import read_tasks
from .sources import DEFAULT_MODEL, resolve_model
from .tasks import TextExample, TextTask

__all__ = [
    "DEFAULT_MODEL",
    "STANDARD_CL",
    "LanguageModel",
    "TextExample",
    "TextTask",
    "generate",
    "read_tasks",
    "resolve_model",
    "standard_cl",
    "text_benchmark",
]
