"""Text as an Avalanche stream, and language models that Avalanche strategies can hold."""

from .benchmark import long_sequence, standard_cl, superni, text_benchmark
from .generation import generate
from .model import LanguageModel
from .orders import LONG_SEQUENCE, STANDARD_CL, SUPERNI
from .readers import read_tasks
from .sources import DEFAULT_MODEL, resolve_model
from .tasks import TextExample, TextTask

__all__ = [
    "DEFAULT_MODEL",
    "LONG_SEQUENCE",
    "STANDARD_CL",
    "SUPERNI",
    "LanguageModel",
    "TextExample",
    "TextTask",
    "generate",
    "long_sequence",
    "read_tasks",
    "resolve_model",
    "standard_cl",
    "superni",
    "text_benchmark",
]
