"""A user's own folder: JSON, JSON Lines, CSV or Parquet files."""

from pathlib import Path

from ..tables import SUFFIXES
from .finding import folder_tasks, split_files, split_tasks
from .layout import Layout, TaskFiles


class PlainLayout(Layout):
    """A folder a split or a folder a task; records with the usual fields, or with columns that the user names."""

    name = "plain"
    pattern = "{train,dev,test}/<task> or <task>/{train,dev,test}, each .json, .jsonl, .csv, .tsv or .parquet"

    def matches(self, folder: Path) -> bool:
        """Recognised last: by any file of records in the folder of a split or named as a split."""
        return bool(self.tasks(folder))

    def tasks(self, folder: Path) -> dict[str, TaskFiles]:
        """Find the tasks; see :class:`~avalanche_aim.text.data.layouts.layout.Layout`."""
        if any(path.suffix in SUFFIXES for _, path in split_files(folder)):
            return split_tasks(folder, SUFFIXES)
        return folder_tasks(folder, "*", SUFFIXES)
