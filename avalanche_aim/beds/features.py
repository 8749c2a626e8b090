"""Text tasks as frozen sentence embeddings: streams on which a run takes seconds, and intent classifiers."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from avalanche.benchmarks import CLScenario

from ..text.data.tasks import SPLITS, TextTask
from .embeddings import Embeddings
from .tensors import tensor_benchmark


def feature_benchmark(
    tasks: Sequence[TextTask], embeddings: Embeddings | None = None, *, instruction: bool = False, progress: bool = True
) -> CLScenario:
    """Build a benchmark of the embeddings of text tasks with closed label sets.

    There is one class for each label text of the stream: tasks that share a text share the class, as they do for a
    language model, and all classes compete. So a new label set needs no change::

        benchmark = feature_benchmark(tasks)
        model = Head.of(benchmark)
        strategy = Naive(model=model, optimizer=AdamW(model.parameters()), plugins=[AIMMergingPlugin()])

    Each experience carries its ``task`` and ``task_name``; the benchmark has ``labels`` and ``input_shape``.

    :param embeddings: of an encoder of your own; those of the default one otherwise.
    :param instruction: whether the instruction that all prompts of a task begin with is embedded as well, or cut off.
    :return: a benchmark with ``train_stream``, ``test_stream`` and, where every task has one, ``dev_stream``.
    :raises ValueError: for an open task, two tasks of one name, or no task at all.
    """
    names = [task.name for task in tasks]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"tasks: expected one or more tasks of different names, got {names}")
    if opened := [task.name for task in tasks if task.labels is None]:
        raise ValueError(
            f"tasks: expected closed label sets, since a head has one output for each label; got the open "
            f"{', '.join(opened)}: leave them out of the order, or train a language model"
        )
    labels = tuple(dict.fromkeys(label for task in tasks for label in task.labels or ()))
    classes = {label: number for number, label in enumerate(labels)}
    splits = [split for split in SPLITS if all(task.split(split) for task in tasks)]
    read = tasks if instruction else [without_instruction(task) for task in tasks]
    examples = {split: [task.split(split) for task in read] for split in splits}
    texts = [example.prompt for parts in examples.values() for part in parts for example in part]
    sizes = [len(part) for parts in examples.values() for part in parts]
    vectors = iter((embeddings or Embeddings()).of(texts, progress).split(sizes))
    parts = {
        split: [(next(vectors), [classes[example.answer] for example in part]) for part in parts]
        for split, parts in examples.items()
    }
    benchmark = tensor_benchmark(names, labels, parts)
    for stream in benchmark.streams.values():
        for experience, task in zip(stream, tasks, strict=True):
            experience.task = task
    return benchmark


def without_instruction(task: TextTask) -> TextTask:
    """Cut off the lines that all prompts of a task begin with; at least one line is left of each."""
    prompts = [example.prompt for split in SPLITS for example in task.split(split)]
    beginnings = zip(*(prompt.rstrip().split("\n")[:-1] for prompt in prompts), strict=False)
    shared = takewhile(lambda lines: len(set(lines)) == 1, beginnings)
    length = sum(len(lines[0]) + 1 for lines in shared)
    cut = [tuple(replace(e, prompt=e.prompt[length:]) for e in task.split(split)) for split in SPLITS]
    return replace(task, train=cut[0], dev=cut[1], test=cut[2])
