"""A user's own folder of JSON or JSON Lines files with ``input`` and ``output``."""

from pathlib import Path

from ..tasks import SPLITS, TextExample
from .aimmerging import input_output
from .layout import TaskFiles, folder_tasks, split_tasks

SUFFIXES = (".json", ".jsonl")


class PlainLayout:
    """A folder a split or a folder a task; records of ``input`` and ``output`` (a text or a list of texts)."""

    name = "plain"
    pattern = "{train,dev,test}/<task>.json[l] or <task>/{train,dev,test}.json[l], records of {input, output}"
    instructs = True

    def matches(self, folder: Path) -> bool:
        """Recognised last: by any JSON or JSON Lines file in the folder of a split or named as a split."""
        return self._by_split(folder) or any(
            path.stem in SPLITS and path.suffix in SUFFIXES for path in folder.glob("*/*.json*")
        )

    def tasks(self, folder: Path) -> dict[str, TaskFiles]:
        """Find the tasks; see :class:`~avalanche_aim.text.data.layouts.layout.Layout`."""
        if self._by_split(folder):
            return split_tasks(folder, SUFFIXES)
        return folder_tasks(folder.glob("*/"), lambda split: tuple(split + suffix for suffix in SUFFIXES))

    def read(self, files: TaskFiles, split: str) -> tuple[TextExample, ...]:
        """Read one split; see :class:`~avalanche_aim.text.data.layouts.layout.Layout`."""
        return input_output(files.paths[split])

    def note(self, folder: Path) -> str | None:
        """Nothing is known of a user's own data."""
        return None

    def _by_split(self, folder: Path) -> bool:
        return any(path.suffix in SUFFIXES for split in SPLITS for path in (folder / split).glob("*"))
