"""What the answers to a stream are compared with."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..data.tasks import TextTask


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

    @classmethod
    def of_split(cls, tasks: Sequence[TextTask], split: str) -> "AnswerKey":
        """Make the key of one split.

        :param tasks: the tasks, in stream order.
        :param split: "train", "dev" or "test".
        """
        references = (tuple(example.references for example in task.split(split)) for task in tasks)
        return cls(tuple(task.metric for task in tasks), tuple(references))
