"""When to merge, one file a schedule."""

from .adaptive import AdaptiveInterval
from .fixed import FixedInterval
from .model_time import ModelTime
from .once import OncePerTask
from .random import RandomInterval
from .reference import ReferenceInterval
from .schedule import AdaptingSchedule, Schedule
from .shares import SharesOfTask

SCHEDULES: dict[str, type[Schedule]] = {
    "adaptive": AdaptiveInterval,
    "reference": ReferenceInterval,
    "fixed": FixedInterval,
    "random": RandomInterval,
    "once": OncePerTask,
    "model-time": ModelTime,
    "shares": SharesOfTask,
}

__all__ = [
    "SCHEDULES",
    "AdaptingSchedule",
    "AdaptiveInterval",
    "FixedInterval",
    "ModelTime",
    "OncePerTask",
    "RandomInterval",
    "ReferenceInterval",
    "Schedule",
    "SharesOfTask",
]
