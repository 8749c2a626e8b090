"""Tensors and classes as an Avalanche benchmark, one experience for each task."""

from collections.abc import Mapping, Sequence
from typing import Any

from avalanche.benchmarks import CLScenario, benchmark_from_datasets, with_classes_timeline
from avalanche.benchmarks.scenarios.task_aware import with_task_labels
from avalanche.benchmarks.utils import DataAttribute, TaskAwareSupervisedClassificationDataset
from torch import Tensor
from torch.utils.data import Dataset

Part = tuple[Tensor, Sequence[int]]
"""The inputs of one split of a task, shape (N, …), and the class of each."""


class _Rows(Dataset[tuple[Tensor, int]]):
    def __init__(self, x: Tensor, targets: Sequence[int]) -> None:
        self.x, self.targets = x, targets
        self._rows = x.unbind()  # indexing a tensor takes several times as long as indexing a tuple

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._rows[index], self.targets[index]


def tensor_benchmark(names: Sequence[str], labels: Sequence[str], splits: Mapping[str, Sequence[Part]]) -> CLScenario:
    """Build a benchmark from tensors.

    Its ``labels`` are the names of all classes, its ``input_shape`` that of one example. Each experience carries its
    ``task_name``. All task labels are 0: one head serves all tasks.

    :param splits: for each of the splits "train", "test" and, if there is one, "dev", the tasks' examples.
    """
    streams = {split: [_dataset(*part) for part in parts] for split, parts in splits.items()}
    benchmark = with_task_labels(with_classes_timeline(benchmark_from_datasets(**streams)))
    for stream in benchmark.streams.values():
        for experience, name in zip(stream, names, strict=True):
            experience.task_name = name
    benchmark.labels = tuple(labels)
    benchmark.input_shape = tuple(splits["train"][0][0].shape[1:])
    return benchmark


def _dataset(x: Tensor, targets: Sequence[int]) -> Any:
    attributes = [
        DataAttribute(list(targets), "targets"),
        DataAttribute([0] * len(targets), "targets_task_labels", use_in_getitem=True),
    ]
    return TaskAwareSupervisedClassificationDataset([_Rows(x, list(targets))], data_attributes=attributes)
