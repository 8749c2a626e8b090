"""The rehearsal memory, and the passes over it."""

from .fine_tuning import MemoryFineTuning, MemoryOptimizer
from .rehearsal import Rehearsal

__all__ = ["MemoryFineTuning", "MemoryOptimizer", "Rehearsal"]
