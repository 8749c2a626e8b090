"""From a folder, or from objects that hold rows, to text tasks, whatever their layout."""

import warnings
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from ..known import PLACEHOLDERS, known_task, labels_as_used
from ..orders import canonical
from ..records import read_labels
from ..tasks import SPLITS, TextExample, TextTask, closed_labels, metric_of
from ..traps import Trap, find_traps
from .layout import Layout, TaskFiles
from .source import open_source

SAMPLE = Path(__file__).parents[1] / "sample"
"""The data set that is shipped in the package."""
Splits = dict[str, tuple[TextExample, ...]]
"""The examples of a task's splits."""
LABEL_TRAPS = ("truncated_labels", "unknown_labels", "missing_labels", "placeholder_labels")
"""None of them where the user says which labels a task has."""


class DataWarning(UserWarning):
    """A trap in the data: what was read is usable, and not what one would expect."""


def read_tasks(
    data: str | Path | Mapping[str, Any],
    names: Sequence[str] | None = None,
    strict: bool = False,
    *,
    columns: Any = None,
    task_settings: Any = None,
    tokenizer: Any = None,
) -> list[TextTask]:
    """Read tasks from a folder in any layout, from objects that hold rows, or from the Hugging Face Hub.

    Nothing is repaired: rows stay as they are, and a :class:`DataWarning` for each trap and task says what it means
    for the result (docs/data.md lists them).

    >>> rows = [{"text": "1 + 1", "label": "even"}, {"text": "1 + 2", "label": "odd"}] * 4
    >>> task, = read_tasks({"sums": {"train": rows, "test": [{"text": "2 + 2", "label": "even"}]}})
    >>> task.train[0].prompt, task.labels
    ('1 + 1', ('even', 'odd'))

    :param data: a folder; or for each task its splits, such as a ``datasets.DatasetDict``, or a mapping from "train",
        "test" and perhaps "dev" to a file, a list of records, a ``datasets.Dataset`` or a data frame; or "hub".
    :param names: the tasks to read, in any spelling; by default all, those that ``tasks.yaml`` names first.
    :param strict: True raises an error where there would be a warning.
    :param columns: the records' fields, ``{"prompt": "text", "answer": "label"}`` (a list of fields makes a prompt of
        several lines) or ``{"messages": "chat"}``; by default the usual ones are looked for.
    :param task_settings: what is to hold of tasks in place of what would be found, by name:
        ``{"reviews": {"kind": "open", "metric": "rouge_l"}}`` (docs/data.md), or a YAML file of it. It wins over the
        ``tasks.yaml`` of the folder.
    :param tokenizer: the model's; chats need its template.
    :return: the tasks, in the order asked for, under the names asked for.
    :raises FileNotFoundError: if the folder, a split or a task is not there; the message lists what is.
    :raises OSError: for a file that cannot be opened.
    :raises ValueError: for a file that is not what the layout says (the message names file and record), two files or
        two names that are one task, and, if ``strict``, for any trap.
    """
    if isinstance(names, str):
        raise ValueError(f"names: expected a list of tasks, got the text {names!r}; write [{names!r}]")
    _check_different(names or ())
    if isinstance(data, (str, Path)) and str(data) == "hub":
        from ..hub import read_hub_task

        if names is None or columns or task_settings:
            raise ValueError(
                'data "hub": expected names, and neither columns nor task_settings; load a data set of your own with '
                "datasets, and give {name: its splits}"
            )
        tasks = [read_hub_task(name) for name in names]
        traps = [trap for task in tasks for trap in find_traps(task, tasks)]
    else:
        source = open_source(data, columns, task_settings, tokenizer)
        names = [files.name for files in source.files.values()] if names is None else names
        source.check(names)
        chosen = {name: source.files[canonical(name)] for name in names}
        tasks = [read_task(source.layout, files, name) for name, files in chosen.items()]
        traps = [trap for task in tasks for trap in traps_of(source.layout, chosen[task.name], task, tasks)]
    _report(traps, strict)
    return tasks


def read_task(layout: Layout, files: TaskFiles, name: str, errors: list[str] | None = None) -> TextTask:
    """Read one task, scored as its settings say, or else as its name or its kind of answers does.

    :param name: the name it is to have.
    :param errors: where the error of a stray label goes, which then becomes one of the task's; by default it is raised.
    :raises FileNotFoundError: without train or test.
    :raises ValueError: for malformed files or a label that is not the task's.
    """
    splits = _read_splits(layout, files)
    answers = dict.fromkeys(example.answer for examples in splits.values() for example in examples)
    labels = _task_labels(files, splits, answers.keys())
    if labels is not None:
        # Placeholders stay, and need a class of their own.
        labels = (*labels, *sorted(answers.keys() & set(PLACEHOLDERS) - set(labels)))
        if strange := answers.keys() - set(labels):
            error = _strange_label(files, splits, labels, strange)
            if errors is None:
                raise error
            errors.append(str(error))
            labels = tuple(dict.fromkeys((*labels, *answers)))
    metric = files.settings.metric or metric_of("" if files.settings.kind else name, labels)
    return TextTask(name, splits["train"], splits["dev"], splits["test"], labels, metric)


def _read_splits(layout: Layout, files: TaskFiles) -> Splits:
    """All splits of a task; without dev that one is empty."""
    for split in ("train", "test"):
        if split not in files.paths:
            found = ", ".join(str(files.place(there)) for there in files.paths) or "none"
            raise FileNotFoundError(
                f"task {files.name!r}: expected the splits train and test; {split} is missing, found only {found}. "
                f"Expected {layout.pattern}: copy the folder again"
            )
    splits = {split: layout.read(files, split) if split in files.paths else () for split in SPLITS}
    if files.settings.instruction and not layout.words_prompts:
        line = f"{files.settings.instruction}\n"
        splits = {split: tuple(TextExample(line + e.prompt, e.references) for e in splits[split]) for split in SPLITS}
    return splits


def _task_labels(files: TaskFiles, splits: Splits, used: Set[str]) -> tuple[str, ...] | None:
    """The labels as the settings say, by the layout, from ``labels.json`` or the training answers; None if open."""
    known, settings = known_task(files.name), files.settings
    if settings.labels is not None:
        return settings.labels
    if settings.kind == "open" or (settings.kind is None and known and not known.closed):
        return None
    if files.answers is not None:
        return files.answers
    if files.labels is not None:
        return labels_as_used(files.name, read_labels(files.labels), used)
    if settings.kind == "closed" or known:  # closed, however few rows there are
        return tuple(sorted({example.answer for example in splits["train"]}))
    return closed_labels(splits["train"])


def _strange_label(files: TaskFiles, splits: Splits, labels: Sequence[str], strange: Set[str]) -> ValueError:
    """The error of the first answer that is no label of the task; it names file and record."""
    rows = ((split, row, example.answer) for split in SPLITS for row, example in enumerate(splits[split]))
    split, row, answer = next(found for found in rows if found[2] in strange)
    listed = "the task's settings" if files.settings.labels else files.labels
    source = f"is not in {listed}" if listed else "never occurs in training"
    file = "file or its labels.json" if files.labels else "file"
    return ValueError(
        f"{files.place(split)}, record {row}: the label {answer!r:.80} {source}; expected one of "
        f"{list(labels)!r:.400}: correct the {file}, drop the record, or give the task's labels or kind, such as "
        f"{files.name}: {{kind: open}} in tasks.yaml"
    )


def traps_of(layout: Layout, files: TaskFiles, task: TextTask, tasks: Sequence[TextTask]) -> list[Trap]:
    """Find the traps of a task that was read, those of its files among them."""
    traps = find_traps(task, tasks, layout.instructs or files.settings.instruction is not None)
    if files.settings.labels is not None:
        traps = [trap for trap in traps if trap.kind not in LABEL_TRAPS]
    if files.unused:
        traps.append(Trap("unused_fields", task.name, ", ".join(sorted(files.unused))))
    if files.labels is not None and files.settings.labels is None and task.labels is not None:
        listed = read_labels(files.labels)
        if set(listed) - set(task.labels):
            detail = f"labels.json lists {', '.join(listed)}, the records have {', '.join(task.labels)}"
            traps.append(Trap("other_labels_listed", task.name, detail))
    return traps


def _check_different(names: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if canonical(name) in seen:
            raise ValueError(
                f"names: expected each task once, got {seen[canonical(name)]!r} and {name!r}, which are one task; "
                "leave one out"
            )
        seen[canonical(name)] = name


def _report(traps: Sequence[Trap], strict: bool) -> None:
    if strict and traps:
        lines = "".join(f"\n  {trap}" for trap in traps)
        raise ValueError(f"data: expected none of the known traps, got {len(traps)}; correct the files, or read them "
                         f"as they are with strict=False:{lines}")  # fmt: skip
    for trap in traps:
        warnings.warn(str(trap), DataWarning, stacklevel=3)
