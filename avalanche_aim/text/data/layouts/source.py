"""Where tasks are, and what is said of them, before any is read."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..orders import canonical
from ..settings import Columns, TaskSettings, read_settings, settings_beside
from .detect import detect
from .finding import SPLIT_NAMES, benchmark_root, by_canonical_name
from .layout import Layout, TaskFiles


class ObjectsLayout(Layout):
    """Objects that hold rows, read as the files of a user's own are."""

    name = "in memory"
    pattern = '{task: {"train": records, "test": records}}, and "dev" where there is one'


@dataclass(frozen=True)
class Source:
    """Where tasks are.

    :param layout: how they are kept.
    :param files: the tasks by canonical name, in the order in which all of them are a stream.
    :param place: what to call it in error messages.
    """

    layout: Layout
    files: dict[str, TaskFiles]
    place: str

    def check(self, names: Sequence[str]) -> None:
        """Check that tasks are there.

        :raises FileNotFoundError: if one is not; the message lists all that are not, and all that are.
        """
        missing = [name for name in names if canonical(name) not in self.files]
        if missing:
            several = len(missing) > 1
            what = f"task{'s' * several} {', '.join(map(repr, missing))}, which {'are' if several else 'is'} not there"
            there = sorted(files.name for files in self.files.values()) or "no task"
            raise FileNotFoundError(
                f"{self.place}: expected the {what}; found {there}. Copy what is missing, or order only tasks that are "
                "there"
            )


def open_source(
    data: str | Path | Mapping[str, Any], columns: Any = None, task_settings: Any = None, tokenizer: Any = None
) -> Source:
    """Find tasks, and what is said of them, without reading them; the arguments are those of :func:`read_tasks`.

    :raises FileNotFoundError: if it is no folder or in no known layout.
    :raises ValueError: for two files that are one task, and settings that are wrong or of a task that is not there.
    """
    given = read_settings(task_settings)
    if isinstance(data, Mapping):
        layout: Layout = ObjectsLayout()
        found, place, beside, path = _object_tasks(data), "data", read_settings(None), None
    else:
        folder = Path(os.path.expanduser(data))
        layout = detect(folder)
        found, place = layout.tasks(folder), str(folder)
        beside, path = settings_beside((folder, benchmark_root(folder)))
    for some, where in ((given, "task_settings"), (beside, path)):
        if strange := [name for name in some if name not in found]:
            raise ValueError(
                f"{where}: expected settings of tasks that are there, got {', '.join(strange):.200}; there are "
                f"{', '.join(files.name for files in found.values()):.400}"
            )
    common = TaskSettings(columns=None if columns is None else Columns.of(columns))
    files = {
        name: replace(
            found[name],
            settings=given.get(name, TaskSettings()).over(common).over(beside.get(name, TaskSettings())),
            tokenizer=tokenizer,
        )
        for name in dict.fromkeys((*beside, *found))
    }
    return Source(layout, files, place)


def _object_tasks(data: Mapping[str, Any]) -> dict[str, TaskFiles]:
    """The tasks in memory by canonical name: for each its splits, as records or as files."""
    found = []
    for name, splits in data.items():
        if not isinstance(name, str) or not name.strip() or not isinstance(splits, Mapping):
            raise ValueError(
                f"data, task {name!r:.80}: expected its splits, a DatasetDict or a mapping such as "
                f'{{"train": records, "test": records}}, got {type(splits).__name__}; a Dataset alone has '
                "train_test_split for it"
            )
        called = {called: split for split, names in SPLIT_NAMES.items() for called in names}
        unknown = [split for split in splits if split not in called]
        paths = {called[split]: rows for split, rows in splits.items() if split in called}
        if unknown or len(paths) != len(splits):
            raise ValueError(
                f"data, task {name!r:.80}: expected train, test and perhaps one of {', '.join(SPLIT_NAMES['dev'])}, "
                f"got {', '.join(map(str, splits)):.200}; choose the splits"
            )
        for split, rows in paths.items():
            if isinstance(rows, (str, Path)) and not os.path.isfile(Path(os.path.expanduser(rows))):
                raise FileNotFoundError(
                    f"data, task {name!r:.80}, {split}: expected records, there is no file {rows!r:.200}"
                )
        found.append(TaskFiles(name, paths))
    return by_canonical_name(found)
