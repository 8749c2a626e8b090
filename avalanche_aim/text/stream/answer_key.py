"""What the answers to a stream are compared with."""

from dataclasses import dataclass
from typing import Any

from ..data.tasks import TextTask
from .encoding import AnswerSpace


@dataclass(frozen=True)
class AnswerKey:
    """The references of every example of a stream, found by the numbers that each packed row carries.

    A row names its task and its place in the task's split, so that the references are found however rows are
    shuffled, cut into subsets or mixed.

    :param metrics: how each task is scored, see :class:`~avalanche_aim.text.TextTask`.
    :param references: the references of each task's examples, in the order of its split.
    """

    metrics: tuple[str, ...]
    references: tuple[tuple[tuple[str, ...], ...], ...]


@dataclass(frozen=True, eq=False)
class Source:
    """What a text benchmark says of an example: its task, and how the stream's answers are scored.

    It is an attribute of the data, which subsets and concatenations keep. So experiences that Avalanche derives (online
    streams, validation streams), which lose their own attributes, can be trained and evaluated on as well.
    """

    task: TextTask
    answers: AnswerSpace
    answer_key: AnswerKey

    @classmethod
    def of(cls, experience: Any) -> "Source | None":
        """Return the source of an experience's first example, or None if it is of no text benchmark."""
        sources = getattr(getattr(experience, "dataset", None), "source", ())
        return next((source for source in sources if isinstance(source, cls)), None)
