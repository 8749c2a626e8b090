"""What is in a folder of benchmark files, and what to know before training on it."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .known import known_task
from .layouts import open_source
from .layouts.read import read_task, traps_of
from .layouts.source import Source
from .tasks import SPLITS, TextExample, TextTask
from .traps import Trap

PERCENTILES = (50, 95, 100)
LABELS_SHOWN = 14


@dataclass(frozen=True)
class SplitReport:
    """One split in numbers.

    :param rows: its number of examples.
    :param labels: how many examples each label has, the most frequent first; None for open generation.
    :param references: examples with more than one accepted answer.
    :param lengths: percentiles (50, 95, 100) of the prompts' and answers' lengths, by unit: "characters", "words"
        and, where a tokenizer was given, "tokens".
    """

    rows: int
    labels: dict[str, int] | None
    references: int
    lengths: dict[str, dict[str, list[int]]]


@dataclass(frozen=True)
class TaskReport:
    """One task of the folder.

    :param name: its name as the folder spells it.
    :param task: its canonical name.
    :param metric: how it is scored.
    :param closed: True for a closed label set.
    :param splits: its splits in numbers.
    """

    name: str
    task: str
    metric: str
    closed: bool
    splits: dict[str, SplitReport]


@dataclass(frozen=True)
class Inspection:
    """What :func:`inspect_folder` found.

    :param traps: what is readable, and not what one would expect.
    :param notes: what to know before comparing scores with published ones or with another layout's.
    :param errors: what cannot be trained on: a task that cannot be read, or a label that is not the task's.
    """

    folder: str
    layout: str
    tasks: list[TaskReport] = field(default_factory=list)
    traps: list[Trap] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain data for JSON."""
        return {**asdict(self), "traps": [{**asdict(trap), "meaning": trap.meaning} for trap in self.traps]}


def inspect_folder(
    folder: str | Path, tokenizer: Any = None, *, columns: Any = None, task_settings: Any = None
) -> Inspection:
    """Look at every task of a folder.

    Unlike :func:`~avalanche_aim.text.data.layouts.read_tasks`, whose arguments it takes, it goes on after a task that
    cannot be read.

    :param tokenizer: a Hugging Face tokenizer to count tokens with, or None.
    :raises FileNotFoundError: if it is no folder or in no known layout.
    :raises ValueError: if two of its files are one task.
    """
    source = open_source(Path(os.path.expanduser(folder)), columns, task_settings, tokenizer)
    inspection = Inspection(source.place, source.layout.name)
    tasks: dict[str, TextTask] = {}
    for name, files in source.files.items():
        try:
            tasks[name] = read_task(source.layout, files, files.name, inspection.errors)
        except (ValueError, OSError) as error:
            inspection.errors.append(str(error))
    for name, task in tasks.items():
        closed = task.labels is not None
        splits = {split: _split_report(task.split(split), closed, tokenizer) for split in SPLITS if task.split(split)}
        inspection.tasks.append(TaskReport(task.name, name, task.metric, closed, splits))
        inspection.traps.extend(traps_of(source.layout, source.files[name], task, list(tasks.values())))
    inspection.notes.extend(_notes(source, tasks))
    return inspection


def _split_report(examples: Sequence[TextExample], closed: bool, tokenizer: Any) -> SplitReport:
    units: dict[str, Callable[[list[str]], list[int]]] = {
        "characters": lambda texts: [len(text) for text in texts],
        "words": lambda texts: [len(text.split()) for text in texts],
    }
    if tokenizer is not None:
        units["tokens"] = lambda texts: [len(ids) for ids in tokenizer(texts, verbose=False).input_ids]
    prompts, answers = [example.prompt for example in examples], [example.answer for example in examples]
    return SplitReport(
        rows=len(examples),
        labels=dict(Counter(answers).most_common()) if closed else None,
        references=sum(len(example.references) > 1 for example in examples),
        lengths={
            unit: {"prompt": _percentiles(count(prompts)), "answer": _percentiles(count(answers))}
            for unit, count in units.items()
        },
    )


def _percentiles(values: list[int]) -> list[int]:
    """The smallest values that so many percent of the values do not exceed."""
    return [int(value) for value in np.percentile(values, PERCENTILES, method="inverted_cdf")]


def _notes(source: Source, tasks: dict[str, TextTask]) -> list[str]:
    notes = [note for note in [source.layout.note(Path(source.place))] if note]
    for name, files in source.files.items():
        known = known_task(name)
        if known and known.spellings:
            spelled = ", ".join(known.spellings)
            notes.append(f"task {files.name!r} has other names elsewhere ({spelled}); any of them finds it")
        if known and len(known.labels) > 1 and name in tasks:
            sets = " or ".join("/".join(labels) for labels in known.labels)
            here = "/".join(sorted({example.answer for example in tasks[name].train}))
            notes.append(
                f"task {files.name!r}: its labels are {here} here; published files have {sets}, depending on the "
                "repository. A model trained on one set scores 0 on the other"
            )
    return notes


def table(inspection: Inspection) -> str:
    """Render an inspection for people."""
    unit = "tokens" if any("tokens" in t.splits["train"].lengths for t in inspection.tasks) else "words"
    lines = [f"{inspection.folder}: {inspection.layout} layout, {len(inspection.tasks)} tasks", ""]
    rows: list[tuple[str, ...]] = [("task", "split", "rows", "labels", f"prompt {unit}", f"answer {unit}", "metric")]
    for task in inspection.tasks:
        for split, report in task.splits.items():
            first = split == SPLITS[0]
            lengths = (" / ".join(map(str, report.lengths[unit][part])) for part in ("prompt", "answer"))
            labels = "open" if report.labels is None else str(len(report.labels))
            rows.append((task.name * first, split, str(report.rows), labels, *lengths, task.metric * first))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [f"(lengths: median / 95 % / longest, in {unit})", "", "Labels in train:"]
    lines += [
        f"  {task.name}: {_distribution(task.splits['train'].labels)}" for task in inspection.tasks if task.closed
    ]
    for title, entries in (
        ("Cannot be read", inspection.errors),
        ("Traps", _trap_lines(inspection.traps)),
        ("Notes", inspection.notes),
    ):
        lines += ["", f"{title}: none" if not entries else f"{title}:", *(f"  {entry}" for entry in entries)]
    return "\n".join(lines)


def _distribution(labels: dict[str, int] | None) -> str:
    shown = [f"{label or '(empty)'} {count}" for label, count in list((labels or {}).items())[:LABELS_SHOWN]]
    more = len(labels or {}) - len(shown)
    return ", ".join(shown) + (f", … ({more} more)" if more else "")


def _trap_lines(traps: Sequence[Trap]) -> list[str]:
    """The traps by kind, each kind with its meaning once."""
    lines = []
    for kind in dict.fromkeys(trap.kind for trap in traps):
        same = [trap for trap in traps if trap.kind == kind]
        lines.append(f"{kind}: {same[0].meaning}")
        lines.extend(f"  {trap.task}: {trap.detail}" for trap in same)
    return lines
