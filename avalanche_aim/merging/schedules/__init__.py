"""When to merge, one file a schedule."""

from .adaptive import AdaptiveInterval
from .fixed import FixedInterval
from .once import OncePerTask
from .random import RandomInterval
from .reference import ReferenceInterval
from .schedule import AdaptingSchedule, Schedule

SCHEDULES: dict[str, type[Schedule]] = {
    "adaptive": AdaptiveInterval,
    "reference": ReferenceInterval,
    "fixed": FixedInterval,
    "random": RandomInterval,
    "once": OncePerTask,
}

__all__ = [
    "SCHEDULES",
    "AdaptingSchedule",
    "AdaptiveInterval",
    "FixedInterval",
    "OncePerTask",
    "RandomInterval",
    "ReferenceInterval",
    "Schedule",
]
