"""Text tasks as an Avalanche benchmark: train, dev and test streams, one experience a task."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from avalanche.benchmarks import CLScenario, benchmark_from_datasets, with_classes_timeline
from avalanche.benchmarks.scenarios.task_aware import with_task_labels
from avalanche.benchmarks.utils import DataAttribute, TaskAwareSupervisedClassificationDataset
from torch import Tensor
from torch.utils.data import Dataset

from .encoding import HEADER, AnswerSpace, Encoder, pack
from .layouts import SAMPLE, read_tasks
from .orders import LONG_SEQUENCE, SAMPLE_TASKS, STANDARD_CL, SUPERNI, canonical, resolve_order
from .tasks import SPLITS, TextTask


def standard_cl(
    order: int | str | Sequence[str] = 1,
    tokenizer: Any = None,
    data: str | Path = "sample",
    train_per_task: int | None = None,
    eval_per_task: int | None = None,
    max_prompt_tokens: int = 512,
    seed: int = 0,
) -> CLScenario:
    """Build the Standard CL benchmark (4 text classification tasks; orders 1 to 3).

    :param order: 1, 2 or 3, an order's name, or a list of tasks.
    :param tokenizer: the model's tokenizer, ``LanguageModel.tokenizer``.
    :param data: a folder in any layout (docs/data.md), "hub" for the Hugging Face Hub, or "sample" for the small
        data set shipped here.
    :param train_per_task: training examples a task, evenly over its labels, or None for all.
    :param eval_per_task: dev and test examples a task, likewise.
    :param max_prompt_tokens: longer prompts are shortened in the middle.
    :param seed: of the choice of examples.
    :return: a benchmark with ``train_stream``, ``dev_stream`` and ``test_stream``; see :func:`text_benchmark`.
    :raises ValueError: for an unknown order or malformed data.
    :raises FileNotFoundError: for data that is not there.
    """
    names = resolve_order(order, STANDARD_CL, first_number=1)
    if str(data) == "sample":
        names, data = tuple(SAMPLE_TASKS.get(canonical(name), name) for name in names), SAMPLE
    return _from_files(names, tokenizer, data, train_per_task, eval_per_task, max_prompt_tokens, seed)


def long_sequence(
    order: int | str | Sequence[str] = 4,
    tokenizer: Any = None,
    data: str | Path | None = None,
    train_per_task: int | None = None,
    eval_per_task: int | None = None,
    max_prompt_tokens: int = 512,
    seed: int = 0,
) -> CLScenario:
    """Build the Long-sequence benchmark (15 text classification tasks; orders 4 to 6).

    :param order: 4, 5 or 6, an order's name, or a list of tasks.
    :param data: a folder with the benchmark's files.

    The other parameters, the result and the errors are those of :func:`standard_cl`.
    """
    names = resolve_order(order, LONG_SEQUENCE, first_number=4)
    return _from_files(names, tokenizer, data, train_per_task, eval_per_task, max_prompt_tokens, seed)


def superni(
    order: int | str | Sequence[str] = 1,
    tokenizer: Any = None,
    data: str | Path | None = None,
    train_per_task: int | None = None,
    eval_per_task: int | None = None,
    max_prompt_tokens: int = 512,
    seed: int = 0,
) -> CLScenario:
    """Build the SuperNI benchmark (15 tasks, most of them open generation; orders 1 and 2).

    :param order: 1 or 2, an order's name, or a list of tasks ("task002", or just "002").
    :param data: a folder with the benchmark's files.

    The other parameters, the result and the errors are those of :func:`standard_cl`.
    """
    names = resolve_order(order, SUPERNI, first_number=1)
    return _from_files(names, tokenizer, data, train_per_task, eval_per_task, max_prompt_tokens, seed)


def _from_files(
    names: Sequence[str],
    tokenizer: Any,
    data: str | Path | None,
    train_per_task: int | None,
    eval_per_task: int | None,
    max_prompt_tokens: int,
    seed: int,
) -> CLScenario:
    if data is None or str(data) == "sample":
        raise ValueError(
            f"data: expected a folder with the files of {', '.join(names)}, got {data!r}; the shipped sample has the "
            "Standard CL tasks only"
        )
    tasks = [task.sample(train_per_task, eval_per_task, seed) for task in read_tasks(data, names)]
    return text_benchmark(tasks, tokenizer, max_prompt_tokens)


def text_benchmark(tasks: Sequence[TextTask], tokenizer: Any, max_prompt_tokens: int = 512) -> CLScenario:
    """Build a benchmark from text tasks of any source.

    Each experience carries its ``task`` (a :class:`TextTask`), ``task_name`` and ``answers`` (the stream's
    :class:`~avalanche_aim.text.encoding.AnswerSpace`). All task labels are 0: a language model has one output
    head, and distinct labels change what several Avalanche strategies compute (docs/architecture.md). The
    benchmark's ``truncated`` counts the prompts that were shortened.

    :param tasks: the tasks, in stream order.
    :param tokenizer: the model's tokenizer.
    :param max_prompt_tokens: longer prompts are shortened in the middle.
    :return: a benchmark with ``train_stream``, ``test_stream`` and, where every task has one, ``dev_stream``.
    :raises ValueError: for two tasks of one name, or no task at all.
    """
    names = [task.name for task in tasks]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"tasks: expected one or more tasks of different names, got {names}")
    if tokenizer is None:
        raise ValueError("tokenizer: expected the model's tokenizer (LanguageModel.tokenizer), got None")
    encoder = Encoder(tokenizer, max_prompt_tokens)
    answers = _answer_space(tasks, encoder)
    splits = [split for split in SPLITS if all(task.split(split) for task in tasks)]
    encoded = {split: [_encode(n, task, split, encoder, answers) for n, task in enumerate(tasks)] for split in splits}
    # One width for the whole stream: buffers mix its experiences in one batch.
    pairs = (pair for parts in encoded.values() for part in parts for pair in zip(part[2], part[3], strict=True))
    width = HEADER + max(len(prompt) + len(answer) for prompt, answer in pairs)
    streams = {split: [_dataset(pack(*part, width), part[1]) for part in parts] for split, parts in encoded.items()}
    benchmark = with_task_labels(with_classes_timeline(benchmark_from_datasets(**streams)))
    for stream in benchmark.streams.values():
        for experience, task in zip(stream, tasks, strict=True):
            experience.task, experience.task_name, experience.answers = task, task.name, answers
    benchmark.truncated = encoder.truncated
    return benchmark


def _answer_space(tasks: Sequence[TextTask], encoder: Encoder) -> AnswerSpace:
    texts = list(dict.fromkeys(label for task in tasks for label in task.labels or ()))
    classes = {text: number for number, text in enumerate(texts)}
    return AnswerSpace(
        texts=tuple(texts),
        tokens=tuple(map(tuple, encoder.answers(texts))),
        task_names=tuple(task.name for task in tasks),
        task_classes=tuple(tuple(classes[label] for label in task.labels or ()) for task in tasks),
        style=encoder.style,
    )


def _encode(
    number: int, task: TextTask, split: str, encoder: Encoder, answers: AnswerSpace
) -> tuple[int, list[int], list[list[int]], list[list[int]]]:
    examples = task.split(split)
    prompts = encoder.prompts([example.prompt for example in examples])
    if task.labels is None:
        assert answers.open_class is not None
        return number, [answers.open_class] * len(examples), prompts, encoder.answers([e.answer for e in examples])
    classes = dict(zip(answers.texts, range(len(answers.texts)), strict=True))
    targets = [classes[example.answer] for example in examples]
    return number, targets, prompts, [list(answers.tokens[target]) for target in targets]


class _Rows(Dataset):
    """Packed rows with their classes."""

    def __init__(self, rows: Tensor, targets: list[int]) -> None:
        self.rows, self.targets = rows, targets

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.rows[index], self.targets[index]


def _dataset(rows: Tensor, targets: list[int]) -> TaskAwareSupervisedClassificationDataset:
    attributes = [
        DataAttribute(targets, "targets"),
        DataAttribute([0] * len(targets), "targets_task_labels", use_in_getitem=True),
    ]
    return TaskAwareSupervisedClassificationDataset([_Rows(rows, targets)], data_attributes=attributes)
