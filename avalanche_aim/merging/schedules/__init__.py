"""When to merge."""

from .adaptive import AdaptiveInterval
from .model_time import ModelTime
from .planned import FixedInterval, OncePerTask, RandomInterval, SharesOfTask
from .reference import ReferenceInterval
from .schedule import AdaptingSchedule, Schedule

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
