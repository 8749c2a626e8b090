"""AIMMerging for Avalanche: continual learning of language models by adaptive iterative model merging."""

from .memory import RehearsalMemory
from .plugin import AIMMergingPlugin
from .text import LanguageModel, TextTask, long_sequence, standard_cl, superni, text_benchmark

__version__ = "0.1.0"

__all__ = [
    "AIMMergingPlugin",
    "LanguageModel",
    "RehearsalMemory",
    "TextTask",
    "long_sequence",
    "standard_cl",
    "superni",
    "text_benchmark",
]
