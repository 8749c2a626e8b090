"""Benchmark files on disk as text tasks.

The layout of the AIMMerging repository: ``{train,dev,test}/<task>_T5.json`` (or ``<task>.json``), each a JSON list of
``{"id", "input", "output"}``.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .orders import canonical
from .tasks import SPLITS, TextExample, TextTask, closed_labels

SAMPLE = Path(__file__).parent / "sample"
"""The data set that is shipped in the package."""


def read_tasks(folder: str | Path, names: Sequence[str]) -> list[TextTask]:
    """Read tasks from a folder in the AIMMerging layout.

    :param folder: the folder that holds ``train``, ``dev`` and ``test``.
    :param names: the tasks to read, in any spelling.
    :return: the tasks, in the order asked for, under the names asked for.
    :raises FileNotFoundError: if the folder, a split or a task is not there; the message lists what is.
    :raises ValueError: for a file that is not what the layout says; the message names file and record.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"data: expected a folder with train, dev and test, got {folder}, which is none")
    files = {split: _task_files(folder, split) for split in SPLITS}
    return [_read_task(name, files) for name in names]


def _task_files(folder: Path, split: str) -> dict[str, Path]:
    """The files of one split, by canonical task name."""
    if not (folder / split).is_dir():
        found = sorted(path.name for path in folder.iterdir() if path.is_dir()) or "no folder"
        raise FileNotFoundError(f"{folder}: expected the splits {', '.join(SPLITS)}, {split} is missing; found {found}")
    return {canonical(path.stem.removesuffix("_T5")): path for path in sorted((folder / split).glob("*.json"))}


def _read_task(name: str, files: dict[str, dict[str, Path]]) -> TextTask:
    splits = {}
    for split in SPLITS:
        path = files[split].get(canonical(name))
        if path is None:
            found = sorted(files[split]) or "no file"
            raise FileNotFoundError(f"task {name!r} has no file in the {split} split; found there: {found}")
        splits[split] = _read_examples(path)
        if not splits[split]:
            raise ValueError(f"{path}: expected at least one record, got an empty list")
    labels = closed_labels(splits["train"])
    if labels is not None:
        for split in ("dev", "test"):
            _check_labels(files[split][canonical(name)], splits[split], labels)
    return TextTask(name, splits["train"], splits["dev"], splits["test"], labels)


def _read_examples(path: Path) -> tuple[TextExample, ...]:
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected UTF-8 text, byte {error.start} is not; convert the file") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"{path}: not valid JSON at {where} ({error.msg}); is the file complete?") from error
    if not isinstance(records, list):
        raise ValueError(f"{path}: expected a JSON list of records, got {type(records).__name__}")
    return tuple(_example(path, row, record) for row, record in enumerate(records))


def _example(path: Path, row: int, record: Any) -> TextExample:
    if not isinstance(record, dict):
        raise ValueError(f"{path}, record {row}: expected an object with 'input' and 'output', got {record!r:.80}")
    for field in ("input", "output"):
        if not isinstance(record.get(field), str) or not record[field].strip():
            got = repr(record[field])[:80] if field in record else f"only {sorted(record)}"
            raise ValueError(f"{path}, record {row}: expected {field!r} to be a text that is not empty, got {got}")
    return TextExample(record["input"], (record["output"],))


def _check_labels(path: Path, examples: Sequence[TextExample], labels: Sequence[str]) -> None:
    for row, example in enumerate(examples):
        if example.answer not in labels:
            raise ValueError(
                f"{path}, record {row}: the label {example.answer!r} never occurs in training, whose labels are "
                f"{list(labels)}; correct the file or drop the record"
            )
