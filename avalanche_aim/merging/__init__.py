"""The method, on torch alone: signals, schedules, weights, rules, and what drives them."""

from .controller import Decision, Merge, MergeController
from .diagnosis import Diagnosis, Finding
from .engine import Engine
from .history import History, MergeRecord, MonitorRecord
from .iterative_merging import IterativeMerging
from .observation import DueMerge, Observation
from .presets import PRESETS, UNCHANGED, Part, Preset, preset
from .recording import Recorder
from .rehearsal_plan import RehearsalPlan
from .rules import Dare, Rule, Ties, interpolate, merge_
from .schedules import (
    AdaptiveInterval,
    FixedInterval,
    ModelTime,
    OncePerTask,
    RandomInterval,
    ReferenceInterval,
    Schedule,
    SharesOfTask,
)
from .signals import Activations, ForgettingSignal, GradientAngle, LearningSignal, NoForgetting
from .slow_weights import ExponentialAverage, SlowWeights, TailAverage
from .task_vectors import TaskVector, kept_share, movement, restore_, snapshot
from .weights import FixedWeights, GroupedWeights, ReferenceWeights, SignalWeights, StraightWeights, Weighting

__all__ = [
    "PRESETS",
    "UNCHANGED",
    "Activations",
    "AdaptiveInterval",
    "Dare",
    "Decision",
    "Diagnosis",
    "DueMerge",
    "Engine",
    "ExponentialAverage",
    "Finding",
    "FixedInterval",
    "FixedWeights",
    "ForgettingSignal",
    "GradientAngle",
    "GroupedWeights",
    "History",
    "IterativeMerging",
    "LearningSignal",
    "Merge",
    "MergeController",
    "MergeRecord",
    "ModelTime",
    "MonitorRecord",
    "NoForgetting",
    "Observation",
    "OncePerTask",
    "Part",
    "Preset",
    "RandomInterval",
    "Recorder",
    "ReferenceInterval",
    "ReferenceWeights",
    "RehearsalPlan",
    "Rule",
    "Schedule",
    "SharesOfTask",
    "SignalWeights",
    "SlowWeights",
    "StraightWeights",
    "TailAverage",
    "TaskVector",
    "Ties",
    "Weighting",
    "interpolate",
    "kept_share",
    "merge_",
    "movement",
    "preset",
    "restore_",
    "snapshot",
]
