"""Text tasks as an Avalanche benchmark: train, dev and test streams, one experience a task."""

import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from avalanche.benchmarks import CLScenario, benchmark_from_datasets, with_classes_timeline
from avalanche.benchmarks.scenarios.task_aware import with_task_labels
from avalanche.benchmarks.utils import DataAttribute, TaskAwareSupervisedClassificationDataset

from ..data.layouts import SAMPLE, DataWarning, open_source, read_tasks
from ..data.orders import (
    LONG_SEQUENCE,
    MMLU_PRO,
    SAMPLE_TASKS,
    STANDARD_CL,
    SUPERNI,
    TRACE,
    canonical,
    resolve_order,
)
from ..data.tasks import SPLITS, TextTask
from .answer_key import AnswerKey, Source
from .cache import EncodingCache
from .encoding import AnswerSpace, Encoder
from .rows import EncodedExamples, PackedRows, row_width

Data = str | Path | Mapping[str, Any]


def standard_cl(
    order: int | str | Sequence[str] = 1, tokenizer: Any = None, data: Data = "sample", **options: Any
) -> CLScenario:
    """Build the Standard CL benchmark (4 text classification tasks; orders 1 to 3).

    :param order: 1, 2 or 3, an order's name, a list of tasks, or one task.
    :param tokenizer: the model's tokenizer, ``LanguageModel.tokenizer``.
    :param data: a folder or objects (:func:`~avalanche_aim.text.read_tasks`), "hub" for the Hugging Face Hub, or
        "sample" for the small data set shipped here.
    :param options: ``train_per_task`` and ``eval_per_task``, the most examples of a task for training, and for dev and
        test each, evenly over its labels, or None for all; ``seed`` of their choice; ``strict``, ``columns`` and
        ``task_settings`` of :func:`~avalanche_aim.text.read_tasks`; ``max_prompt_tokens`` and ``cache`` of
        :func:`text_benchmark`.
    :return: a benchmark with ``train_stream``, ``dev_stream`` and ``test_stream``; see :func:`text_benchmark`.
    :raises ValueError: for an unknown order or malformed data.
    :raises FileNotFoundError: for data that is not there.
    """
    return _benchmark("standard_cl", order, tokenizer, data, **options)


def long_sequence(
    order: int | str | Sequence[str] = 4, tokenizer: Any = None, data: Data | None = None, **options: Any
) -> CLScenario:
    """Build the Long-sequence benchmark (15 text classification tasks; orders 4 to 6).

    :param order: 4, 5 or 6, an order's name, a list of tasks, or one task.
    :param data: a folder in any layout, or "hub".
    :param options: as for :func:`standard_cl`, and so are the tokenizer, the result and the errors.
    """
    return _benchmark("long_sequence", order, tokenizer, data, **options)


def superni(
    order: int | str | Sequence[str] = 1, tokenizer: Any = None, data: Data | None = None, **options: Any
) -> CLScenario:
    """Build the SuperNI benchmark (15 tasks, most of them open generation; orders 1 and 2).

    :param order: 1 or 2, an order's name, a list of tasks ("task002", or just "002"), or one task.
    :param data: a folder in any layout.
    :param options: as for :func:`standard_cl`, and so are the tokenizer, the result and the errors.
    """
    return _benchmark("superni", order, tokenizer, data, **options)


def trace(
    order: int | str | Sequence[str] = 1, tokenizer: Any = None, data: Data | None = None, **options: Any
) -> CLScenario:
    """Build the TRACE benchmark (8 tasks of stance, meetings, code, science, arithmetic and German news).

    :param order: 1, its name, a list of tasks, or one task.
    :param data: the folder of its files, ``<Dataset>/{train,eval,test}.json``.
    :param options: as for :func:`standard_cl`, and so are the tokenizer, the result and the errors.
    """
    return _benchmark("trace", order, tokenizer, data, **options)


def mmlu_pro(
    order: int | str | Sequence[str] = 1, tokenizer: Any = None, data: Data | None = None, **options: Any
) -> CLScenario:
    """Build MMLU-Pro as a stream of its 14 domains, split by :mod:`~avalanche_aim.text.data.layouts.mmlu_pro`.

    :param order: 1, its name, a list of domains ("computer-science"), or one domain.
    :param data: a folder with its files, or "hub".
    :param options: as for :func:`standard_cl`, and so are the tokenizer, the result and the errors.
    """
    return _benchmark("mmlu_pro", order, tokenizer, data, **options)


ORDERS = {
    "standard_cl": (STANDARD_CL, 1),
    "long_sequence": (LONG_SEQUENCE, 4),
    "superni": (SUPERNI, 1),
    "trace": (TRACE, 1),
    "mmlu_pro": (MMLU_PRO, 1),
}
"""Name of a benchmark → its orders, and the number of the first."""


def benchmark_tasks(
    benchmark: str,
    order: int | str | Sequence[str],
    data: Data | None,
    *,
    train_per_task: int | None = None,
    eval_per_task: int | None = None,
    seed: int = 0,
    strict: bool = False,
    **reading: Any,
) -> list[TextTask]:
    """Read the tasks of a benchmark as text, for models of any kind.

    :param benchmark: a name of :data:`ORDERS`; the other arguments are those of the function of that name.
    :param reading: of :func:`~avalanche_aim.text.read_tasks`.
    """
    names = resolve_order(order, *ORDERS[benchmark])
    if benchmark == "standard_cl" and str(data) == "sample":
        names, data = tuple(SAMPLE_TASKS.get(canonical(name), name) for name in names), SAMPLE
    elif data is None or str(data) == "sample":
        raise ValueError(
            f"data: expected a folder with the files of {', '.join(names)}, got {data!r}; the shipped sample has the "
            "Standard CL tasks only"
        )
    tasks = read_tasks(data, names, strict, **reading)
    return [task.sample(train_per_task, eval_per_task, seed) for task in tasks]


def _benchmark(
    name: str,
    order: Any,
    tokenizer: Any,
    data: Any,
    *,
    max_prompt_tokens: int = 512,
    cache: bool | str | Path = True,
    **options: Any,
) -> CLScenario:
    tasks = benchmark_tasks(name, order, data, tokenizer=tokenizer, **options)
    return text_benchmark(tasks, tokenizer, max_prompt_tokens, cache)


def orders_asked(benchmark: str, orders: Sequence[str], data: Data | None) -> tuple[str, ...]:
    """Return the orders that are meant, each as one text.

    Several words that are tasks, none the number or name of an order, are one order together. Where none is asked for,
    the benchmark's first is meant, or, for a folder that holds none of its tasks, all tasks of the folder.

    :param orders: what was asked for, in words.
    """
    known, first = ORDERS[benchmark]
    named = {*known, *(str(first + number) for number in range(len(known)))}
    words = [word.strip(", ") for word in orders]
    if len(words) > 1 and not any(word in named or re.search(r"[,\s]", word) for word in words):
        return (",".join(filter(None, words)),)
    if orders:
        return tuple(orders)
    if isinstance(data, (str, Path)) and str(data) not in ("sample", "hub"):
        with suppress(OSError, ValueError):  # which reading will raise again
            there = open_source(data).files
            if not any(canonical(name) in there for name in resolve_order(first, known, first)):
                return (",".join(re.sub(r"[,\s]+", "-", files.name) for files in there.values()),)
    return (str(first),)


def text_benchmark(
    tasks: Sequence[TextTask], tokenizer: Any, max_prompt_tokens: int = 512, cache: bool | str | Path = True
) -> CLScenario:
    """Build a benchmark from text tasks of any source.

    Each experience carries its ``task`` (a :class:`TextTask`), ``task_name``, ``answers`` (the benchmark's
    :class:`~avalanche_aim.text.stream.encoding.AnswerSpace`) and ``answer_key`` (its stream's references,
    :class:`~avalanche_aim.text.stream.answer_key.AnswerKey`). All task labels are 0: a language model has one output
    head, and distinct labels change what several Avalanche strategies compute (docs/architecture.md). The
    benchmark's ``truncated`` counts the prompts that were shortened.

    :param tasks: the tasks, in stream order.
    :param tokenizer: the model's tokenizer.
    :param max_prompt_tokens: longer prompts are shortened in the middle.
    :param cache: True to keep tokenised examples in the library's cache folder and find them there at the next
        start (:mod:`avalanche_aim.storage.files`), False for neither, or a folder of your own.
    :return: a benchmark with ``train_stream``, ``test_stream`` and, where every task has one, ``dev_stream``.
    :raises ValueError: for two tasks of one name, or no task at all.
    :raises TypeError: for anything that is no task.
    """
    if isinstance(tasks, Mapping) or not all(isinstance(task, TextTask) for task in tasks):
        raise TypeError(f"tasks: expected TextTasks, which read_tasks makes of files and records; got {tasks!r:.200}")
    names = [task.name for task in tasks]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"tasks: expected one or more tasks of different names, got {names}")
    if tokenizer is None:
        raise ValueError("tokenizer: expected the model's tokenizer (LanguageModel.tokenizer), got None")
    encoder = Encoder(tokenizer, max_prompt_tokens)
    encodings = EncodingCache(encoder, cache)
    splits = [split for split in SPLITS if all(task.split(split) for task in tasks)]
    encoded = {split: [encodings.encode(task.split(split)) for task in tasks] for split in splits}
    answers = _answer_space(tasks, encoder, [part for parts in encoded.values() for part in parts])
    for split, parts in encoded.items():
        for task, part in zip(tasks, parts, strict=True):
            _name_special_tokens(f"{task.name} ({split})", encoder, part)
    # One width for the whole stream: buffers mix its experiences in one batch.
    width = row_width(part for parts in encoded.values() for part in parts)
    metrics = tuple(task.metric for task in tasks)
    references = {split: tuple(tuple(e.references for e in task.split(split)) for task in tasks) for split in splits}
    keys = {split: AnswerKey(metrics, references[split]) for split in splits}
    streams = {
        split: [_dataset(n, Source(task, answers, keys[split]), split, parts[n], width) for n, task in enumerate(tasks)]
        for split, parts in encoded.items()
    }
    benchmark = with_task_labels(with_classes_timeline(benchmark_from_datasets(**streams)))
    for split, stream in benchmark.streams.items():
        for experience, task in zip(stream, tasks, strict=True):
            experience.task, experience.task_name = task, task.name
            experience.answers, experience.answer_key = answers, keys[split]
    benchmark.truncated = sum(part.truncated for parts in encoded.values() for part in parts)
    return benchmark


def _answer_space(tasks: Sequence[TextTask], encoder: Encoder, parts: Sequence[EncodedExamples]) -> AnswerSpace:
    texts = list(dict.fromkeys(label for task in tasks for label in task.labels or ()))
    classes = {text: number for number, text in enumerate(texts)}
    tokens = tuple(map(tuple, encoder.answers(texts)))
    for task in tasks:
        _check_labels(task, {text: tokens[classes[text]] for text in task.labels or ()})
    whole, prompts, answers = (
        max((int(lengths.max(initial=0)) for lengths in kind), default=0)
        for kind in zip(*((part.lengths, part.n_prompt, part.n_answer) for part in parts), strict=True)
    )
    labels = max(map(len, tokens), default=0)
    return AnswerSpace(
        texts=tuple(texts),
        tokens=tokens,
        task_names=tuple(task.name for task in tasks),
        task_classes=tuple(tuple(classes[label] for label in task.labels or ()) for task in tasks),
        style=encoder.style,
        tokens_end=1 + max(max(map(max, tokens), default=-1), *(int(part.tokens.max(initial=-1)) for part in parts)),
        longest=(max(whole, prompts + labels), prompts, max(answers, labels)),
    )


def _name_special_tokens(where: str, encoder: Encoder, part: EncodedExamples) -> None:
    """Name special tokens that are written in prompts; in answers they are text."""
    tokenizer = encoder.tokenizer
    usual = [*encoder.prompts(["text"])[0], *encoder.answers(["text"])[0]]
    found = [
        token
        for token in set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
        if int((part.tokens == token).sum()) > usual.count(token) * len(part)
    ]
    if found:
        warnings.warn(
            f"{where}: prompts hold special tokens of the tokenizer, {tokenizer.convert_ids_to_tokens(sorted(found))}, "
            "which the model reads as such. Chat templates want that; otherwise write them differently",
            DataWarning,
            stacklevel=3,
        )


def _check_labels(task: TextTask, tokens: dict[str, tuple[int, ...]]) -> None:
    """Name labels of a task that a tokenizer cannot tell apart."""
    alike: dict[tuple[int, ...], list[str]] = {}
    for text, ids in tokens.items():
        alike.setdefault(ids, []).append(text)
    for texts in alike.values():
        if len(texts) > 1:
            warnings.warn(
                f"{task.name}: the tokenizer encodes the labels {', '.join(map(repr, texts))} alike, so only the first "
                "of them is ever the best one; write them otherwise, or make one label of them",
                DataWarning,
                stacklevel=4,
            )


def _dataset(
    number: int, source: Source, split: str, encoded: EncodedExamples, width: int
) -> TaskAwareSupervisedClassificationDataset:
    task, answers = source.task, source.answers
    classes = {text: target for target, text in enumerate(answers.texts)}
    examples = task.split(split)
    if task.labels is None:
        assert answers.open_class is not None
        targets = [answers.open_class] * len(examples)
    else:
        targets = [classes[example.answer] for example in examples]
    attributes = [
        DataAttribute(targets, "targets"),
        DataAttribute([0] * len(targets), "targets_task_labels", use_in_getitem=True),
        DataAttribute([source] * len(targets), "source"),
    ]
    rows = PackedRows(number, targets, encoded, width)
    return TaskAwareSupervisedClassificationDataset([rows], data_attributes=attributes)
