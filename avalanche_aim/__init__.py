"""AIMMerging for Avalanche: continual learning of language models by adaptive iterative model merging."""

from .memory import RehearsalMemory
from .plugin import AIMMergingPlugin

__version__ = "0.1.0"

__all__ = ["AIMMergingPlugin", "RehearsalMemory"]
