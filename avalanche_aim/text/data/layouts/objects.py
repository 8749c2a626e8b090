"""Tasks in memory: for each its splits, as lists of records, data frames or Hugging Face data sets, or as files."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .finding import SPLIT_NAMES, by_canonical_name
from .layout import Layout, TaskFiles


class ObjectsLayout(Layout):
    """Objects that hold rows, read as the files of a user's own are."""

    name = "in memory"
    pattern = '{task: {"train": records, "test": records}}, and "dev" where there is one'


def object_tasks(data: Mapping[str, Any]) -> dict[str, TaskFiles]:
    """Find the tasks, by canonical name.

    :raises ValueError: for anything else, or two names that are one task.
    :raises FileNotFoundError: for a file that is not there.
    """
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
