"""Which task an experience is of: an online stream makes many experiences of one."""

from dataclasses import dataclass
from typing import Any

from avalanche.benchmarks.scenarios.online import OnlineCLExperience


@dataclass(frozen=True)
class Task:
    """What the method takes for one task.

    :param origin: what identifies it: an experience, or None for a stream whose task boundaries are not known.
    :param parts: how many experiences it has; None where nobody says.
    """

    origin: Any
    number: int
    parts: int | None = 1

    @classmethod
    def of(cls, experience: Any) -> "Task":
        """Return the task of an experience: mostly itself, else that which an online stream has split."""
        if not isinstance(experience, OnlineCLExperience):
            return cls(experience, experience.current_experience)
        if not experience.access_task_boundaries:
            return cls(None, 0, None)
        origin = experience.origin_experience
        return cls(origin, origin.current_experience, experience.sub_stream_length)


class TaskProgress:
    """Where a stream of experiences stands in its tasks."""

    def __init__(self) -> None:
        self.number = -1
        self.parts = 0

    def begin(self, experience: Any) -> bool:
        """Begin an experience; whether it is the first of its task."""
        task = Task.of(experience)
        first = task.origin is experience or task.number != self.number
        self.number, self.parts = task.number, 1 if first else self.parts + 1
        return first

    def ended(self, experience: Any) -> bool:
        """Whether the task ends with the experience begun last; never, as far as is known, without task boundaries."""
        return self.parts == Task.of(experience).parts
