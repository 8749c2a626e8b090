"""From a folder to text tasks, whatever its layout."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..known import known_task
from ..orders import canonical
from ..tasks import SPLITS, TextExample, TextTask, closed_labels, metric_of
from ..traps import PLACEHOLDERS, find_traps
from .detect import detect
from .layout import Layout, TaskFiles
from .records import read_labels

SAMPLE = Path(__file__).parents[1] / "sample"
"""The data set that is shipped in the package."""


class DataWarning(UserWarning):
    """A trap in the data: what was read is usable, and not what one would expect."""


def read_tasks(folder: str | Path, names: Sequence[str], strict: bool = False) -> list[TextTask]:
    """Read tasks from a folder in any layout, or from the Hugging Face Hub.

    Nothing is repaired: rows stay as they are, and a :class:`DataWarning` for each trap and task says what it means
    for the result (docs/data.md lists them).

    :param folder: the folder, or "hub".
    :param names: the tasks to read, in any spelling.
    :param strict: True raises an error where there would be a warning.
    :return: the tasks, in the order asked for, under the names asked for.
    :raises FileNotFoundError: if the folder, a split or a task is not there; the message lists what is.
    :raises OSError: for a file that cannot be opened.
    :raises ValueError: for a file that is not what the layout says (the message names file and record), two files or
        two names that are one task, and, if ``strict``, for any trap.
    """
    if isinstance(names, str):
        raise ValueError(f"names: expected a list of tasks, got the text {names!r}; write [{names!r}]")
    _check_different(names)
    if str(folder) == "hub":
        from ..hub import read_hub_task

        tasks, instructed = [read_hub_task(name) for name in names], True
    else:
        folder = Path(folder).expanduser()
        layout = detect(folder)
        found = layout.tasks(folder)
        _check_names(names, found, folder)
        tasks = [read_task(layout, found[canonical(name)], name) for name in names]
        instructed = layout.instructs
    _report(tasks, instructed, strict)
    return tasks


def read_task(layout: Layout, files: TaskFiles, name: str) -> TextTask:
    """Read one task, and check its labels.

    :param layout: its layout.
    :param files: its files.
    :param name: the name it is to have.
    :raises FileNotFoundError: if a split is missing.
    :raises ValueError: for malformed files or a label that is not the task's.
    """
    splits = read_splits(layout, files)
    labels = task_labels(files, splits["train"])
    if labels is not None:
        labels = check_labels(files, splits, labels)
    return TextTask(name, splits["train"], splits["dev"], splits["test"], labels, metric_of(name, labels))


def read_splits(layout: Layout, files: TaskFiles) -> dict[str, tuple[TextExample, ...]]:
    """Read all splits of a task.

    :param layout: its layout.
    :param files: its files.
    :raises FileNotFoundError: if one is missing.
    """
    for split in SPLITS:
        if split not in files.paths:
            found = ", ".join(str(path) for path in files.paths.values())
            raise FileNotFoundError(
                f"task {files.name!r}: expected the splits {', '.join(SPLITS)}; {split} is missing, found only "
                f"{found}. Expected {layout.pattern}: copy the folder again"
            )
    return {split: layout.read(files, split) for split in SPLITS}


def task_labels(files: TaskFiles, train: Sequence[TextExample]) -> tuple[str, ...] | None:
    """Find the labels of a task: from ``labels.json``, from its training answers, or None for open generation.

    :param files: its files.
    :param train: its training examples.
    """
    known = known_task(files.name)
    if known and not known.closed:
        return None
    if files.labels is not None:
        return read_labels(files.labels)
    if known:  # closed, however few rows there are
        return tuple(sorted({example.answer for example in train}))
    return closed_labels(train)


def check_labels(
    files: TaskFiles, splits: Mapping[str, Sequence[TextExample]], labels: Sequence[str]
) -> tuple[str, ...]:
    """Check that every answer of a closed task is one of its labels.

    :param files: its files.
    :param splits: its examples.
    :param labels: its labels.
    :return: the labels, and the placeholders that occur: their rows stay and need a class of their own.
    :raises ValueError: for another answer; the message names file and record.
    """
    used = {example.answer for examples in splits.values() for example in examples}
    labels = (*labels, *sorted(used & set(PLACEHOLDERS) - set(labels)))
    source = f"is not in {files.labels}" if files.labels else "never occurs in training"
    where = "file or its labels.json" if files.labels else "file"
    for split, examples in splits.items():
        for row, example in enumerate(examples):
            if example.answer not in labels:
                raise ValueError(
                    f"{files.paths[split]}, record {row}: the label {example.answer!r:.80} {source}; expected one of "
                    f"{list(labels)!r:.400}: correct the {where}, or drop the record"
                )
    return labels


def _check_different(names: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if canonical(name) in seen:
            raise ValueError(
                f"names: expected each task once, got {seen[canonical(name)]!r} and {name!r}, which are one task; "
                "leave one out"
            )
        seen[canonical(name)] = name


def _check_names(names: Sequence[str], found: Mapping[str, TaskFiles], folder: Path) -> None:
    missing = [name for name in names if canonical(name) not in found]
    if missing:
        what = f"task{'s' * (len(missing) > 1)} {', '.join(map(repr, missing))}, which {'are' if missing[1:] else 'is'}"
        there = sorted(files.name for files in found.values()) or "no task"
        raise FileNotFoundError(
            f"{folder}: expected the {what} not there; found {there}. Copy what is missing, or order only tasks that "
            "are there"
        )


def _report(tasks: Sequence[TextTask], instructed: bool, strict: bool) -> None:
    traps = [trap for task in tasks for trap in find_traps(task, tasks, instructed)]
    if strict and traps:
        lines = "".join(f"\n  {trap}" for trap in traps)
        raise ValueError(f"data: expected none of the known traps, got {len(traps)}; correct the files, or read them "
                         f"as they are with strict=False:{lines}")  # fmt: skip
    for trap in traps:
        warnings.warn(str(trap), DataWarning, stacklevel=3)
