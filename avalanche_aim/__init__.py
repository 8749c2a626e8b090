"""AIMMerging for Avalanche: continual learning of language models by adaptive iterative model merging."""

from .memory import RehearsalMemory
from .plugin import AIMMergingPlugin
from .text import LanguageModel, standard_cl, text_benchmark

__version__ = "0.1.0"

__all__ = ["AIMMergingPlugin", "LanguageModel", "RehearsalMemory", "standard_cl", "text_benchmark"]
