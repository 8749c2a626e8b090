"""The rehearsal memory, and the passes over it."""

from .fine_tuning import MemoryFineTuning, MemoryOptimizer
from .held_out import HeldOutRehearsal
from .rehearsal import Rehearsal

REHEARSALS: dict[str, type[Rehearsal]] = {"memory": Rehearsal, "held-out": HeldOutRehearsal}

__all__ = ["REHEARSALS", "HeldOutRehearsal", "MemoryFineTuning", "MemoryOptimizer", "Rehearsal"]
