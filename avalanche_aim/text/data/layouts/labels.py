"""The labels of a task: as its settings say, as listed, as known, or as its answers show."""

from collections.abc import Sequence

from ..known import PLACEHOLDERS, known_task, labels_as_used
from ..records import read_labels
from ..tasks import SPLITS, TextExample, closed_labels
from .layout import TaskFiles

Splits = dict[str, tuple[TextExample, ...]]
"""The examples of a task's splits."""


def task_labels(files: TaskFiles, splits: Splits) -> tuple[str, ...] | None:
    """Find the labels of a task: as its settings say, by its layout, from ``labels.json``, from its
    training answers, or None.
    """
    known, settings = known_task(files.name), files.settings
    if settings.labels is not None:
        return settings.labels
    if settings.kind == "open" or (settings.kind is None and known and not known.closed):
        return None
    if files.answers is not None:
        return files.answers
    if files.labels is not None:
        used = {example.answer for split in SPLITS for example in splits[split]}
        return labels_as_used(files.name, read_labels(files.labels), used)
    if settings.kind == "closed" or known:  # closed, however few rows there are
        return tuple(sorted({example.answer for example in splits["train"]}))
    return closed_labels(splits["train"])


def check_labels(files: TaskFiles, splits: Splits, labels: Sequence[str]) -> tuple[str, ...]:
    """Check that every answer of a closed task is one of its labels.

    :return: the labels, and the placeholders that occur: their rows stay and need a class of their own.
    :raises ValueError: for another answer; the message names file and record.
    """
    used = {example.answer for examples in splits.values() for example in examples}
    labels = (*labels, *sorted(used & set(PLACEHOLDERS) - set(labels)))
    strange = used - set(labels)
    listed = "the task's settings" if files.settings.labels else files.labels
    source = f"is not in {listed}" if listed else "never occurs in training"
    file = "file or its labels.json" if files.labels else "file"
    for split, examples in splits.items():
        for row, example in enumerate(examples):
            if example.answer in strange:
                raise ValueError(
                    f"{files.place(split)}, record {row}: the label {example.answer!r:.80} {source}; expected one of "
                    f"{list(labels)!r:.400}: correct the {file}, drop the record, or give the task's labels or kind, "
                    f"such as {files.name}: {{kind: open}} in tasks.yaml"
                )
    return labels
