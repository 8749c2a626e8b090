"""What a strategy of a comparison is, and what it may use."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..rehearsal.memory import RehearsalMemory

Arguments = dict[str, Any]


@dataclass(frozen=True)
class Budget:
    """What a strategy may use.

    :param memory: the rehearsed share (float) or count (int) of each past task.
    :param batch_size: training examples of an iteration; rehearsal batches have as many again.
    :param sizes: training examples of each task, in stream order.
    :param memory_per_label: how many examples of each label are rehearsed at least; None for the memory's default.
    :param labels: distinct labels of each task, where at least so many of each are rehearsed.
    """

    memory: float | int
    seed: int
    batch_size: int
    sizes: tuple[int, ...]
    memory_per_label: int | None = None
    labels: tuple[int, ...] = ()

    @classmethod
    def of(cls, settings: Any, seed: int, benchmark: Any) -> "Budget":
        """Return the budget of a run."""
        data = [experience.dataset for experience in benchmark.train_stream]
        sizes, labels = tuple(map(len, data)), tuple(len(set(one.targets)) for one in data)
        return cls(settings.memory, seed, settings.batch_size, sizes, settings.memory_per_label, labels)

    def rehearsal(self, kind: type[RehearsalMemory] = RehearsalMemory) -> RehearsalMemory:
        return kind(self.memory, self.seed, self.memory_per_label)

    @property
    def kept(self) -> list[int]:
        """Examples that the memory holds of each task, once it is past."""
        labels = self.labels or (0,) * len(self.sizes)
        return list(map(self.rehearsal().examples_of, self.sizes, labels))

    @property
    def per_task(self) -> int:
        """Examples that the memory holds of a past task: of the largest, for strategies that take one number."""
        return max(self.kept)

    @property
    def total(self) -> int:
        """Examples that the memory holds while the last task is trained on."""
        return sum(self.kept[:-1])

    @property
    def rehearsal_batch(self) -> int:
        """Rehearsed examples of an iteration; no more than there are, or Avalanche's buffers rehearse nothing."""
        return max(1, min(self.batch_size, self.total))


@dataclass(frozen=True)
class Strategy:
    """One strategy: an Avalanche template and how it is called.

    :param arguments: its arguments beyond model, optimizer, criterion, batch sizes, epochs and device, made from the
        budget; further keywords are the options of the comparison.
    :param all_labels: whether it reads the scores of all labels in training.
    :param whole_stream: whether it is trained once, on all tasks together.
    :param whole_batch: whether it reads outputs or the gradient of the whole batch before the backward pass, so that it
        can't be trained in micro-batches.
    :param lora: whether it needs a model with LoRA.
    :param own: one option that is tuned besides the learning rate, and the values to try beside its default.
    :param source: where the method is described.
    """

    template: type
    arguments: Callable[..., Arguments]
    all_labels: bool = False
    whole_stream: bool = False
    whole_batch: bool = False
    lora: bool = False
    own: tuple[str, tuple[Any, ...]] | None = None
    source: str = ""
