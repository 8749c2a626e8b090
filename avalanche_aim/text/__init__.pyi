from .data.layouts import DataWarning, Layout, read_tasks, register_layout
from .data.orders import LONG_SEQUENCE, STANDARD_CL, SUPERNI
from .data.tasks import TextExample, TextTask
from .model.generation import generate
from .model.language_model import LanguageModel
from .model.sources import DEFAULT_MODEL, resolve_model
from .stream.benchmark import long_sequence, standard_cl, superni, text_benchmark
from .stream.length_grouping import LengthGrouping

__all__ = [
    "DEFAULT_MODEL",
    "LONG_SEQUENCE",
    "STANDARD_CL",
    "SUPERNI",
    "DataWarning",
    "LanguageModel",
    "Layout",
    "LengthGrouping",
    "TextExample",
    "TextTask",
    "generate",
    "long_sequence",
    "read_tasks",
    "register_layout",
    "resolve_model",
    "standard_cl",
    "superni",
    "text_benchmark",
]
