"""Text as an Avalanche stream, and language models that Avalanche strategies can hold."""

from typing import TYPE_CHECKING

from .._lazy import lazy_exports

if TYPE_CHECKING:
    from .benchmark import long_sequence, standard_cl, superni, text_benchmark
    from .generation import generate
    from .layouts import DataWarning, read_tasks
    from .length_grouping import LengthGrouping
    from .model import LanguageModel
    from .orders import LONG_SEQUENCE, STANDARD_CL, SUPERNI
    from .sources import DEFAULT_MODEL, resolve_model
    from .tasks import TextExample, TextTask

__all__ = [
    "DEFAULT_MODEL",
    "LONG_SEQUENCE",
    "STANDARD_CL",
    "SUPERNI",
    "DataWarning",
    "LanguageModel",
    "LengthGrouping",
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

__getattr__ = lazy_exports(
    __name__,
    {
        "DEFAULT_MODEL": ".sources",
        "LONG_SEQUENCE": ".orders",
        "STANDARD_CL": ".orders",
        "SUPERNI": ".orders",
        "DataWarning": ".layouts",
        "LanguageModel": ".model",
        "LengthGrouping": ".length_grouping",
        "TextExample": ".tasks",
        "TextTask": ".tasks",
        "generate": ".generation",
        "long_sequence": ".benchmark",
        "read_tasks": ".layouts",
        "resolve_model": ".sources",
        "standard_cl": ".benchmark",
        "superni": ".benchmark",
        "text_benchmark": ".benchmark",
    },
)
