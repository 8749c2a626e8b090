from .data.layouts import DataWarning, Layout, read_tasks, register_layout
from .data.orders import LONG_SEQUENCE, MMLU_PRO, STANDARD_CL, SUPERNI, TRACE
from .data.tasks import TextExample, TextTask
from .model.generation import generate
from .model.language_model import LanguageModel
from .model.sources import DEFAULT_MODEL, resolve_model
from .stream.benchmark import long_sequence, mmlu_pro, standard_cl, superni, text_benchmark, trace
from .stream.length_grouping import LengthGrouping

__all__ = [
    "DEFAULT_MODEL",
    "LONG_SEQUENCE",
    "MMLU_PRO",
    "STANDARD_CL",
    "SUPERNI",
    "TRACE",
    "DataWarning",
    "LanguageModel",
    "Layout",
    "LengthGrouping",
    "TextExample",
    "TextTask",
    "generate",
    "long_sequence",
    "mmlu_pro",
    "read_tasks",
    "register_layout",
    "resolve_model",
    "standard_cl",
    "superni",
    "text_benchmark",
    "trace",
]
