"""The method, on torch alone: signals, schedules, weights, fusion and history. No Avalanche and no text here."""

from ..rehearsal.fine_tuning import MemoryFineTuning, MemoryOptimizer
from .controller import Merge, MergeController
from .diagnosis import Diagnosis, Finding
from .fusion import kept_share, merge_, movement, restore_, snapshot
from .history import History, MergeRecord, MonitorRecord
from .monitoring import Monitoring
from .presets import PRESETS, Preset, preset
from .schedule import (
    AdaptiveInterval,
    FixedInterval,
    OncePerTask,
    RandomInterval,
    ReferenceInterval,
    Schedule,
)
from .signals import ForgettingSignal, LearningSignal
from .weights import FixedWeights, ReferenceWeights, SignalWeights, Weighting

__all__ = [
    "PRESETS",
    "AdaptiveInterval",
    "Diagnosis",
    "Finding",
    "FixedInterval",
    "FixedWeights",
    "ForgettingSignal",
    "History",
    "LearningSignal",
    "MemoryFineTuning",
    "MemoryOptimizer",
    "Merge",
    "MergeController",
    "MergeRecord",
    "MonitorRecord",
    "Monitoring",
    "OncePerTask",
    "Preset",
    "RandomInterval",
    "ReferenceInterval",
    "ReferenceWeights",
    "Schedule",
    "SignalWeights",
    "Weighting",
    "kept_share",
    "merge_",
    "movement",
    "preset",
    "restore_",
    "snapshot",
]
