"""What a layout on disk is to the rest: a name, its tasks, their examples."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..examples import examples_of
from ..records import records_of
from ..settings import TaskSettings
from ..tasks import TextExample


@dataclass(frozen=True)
class TaskFiles:
    """Where one task is, and what is said of it.

    :param name: the task's name as the folder spells it.
    :param paths: the file of each split that is there, or an object that holds its rows.
    :param labels: its ``labels.json``, where the layout has one.
    :param settings: what the user says of it.
    :param tokenizer: the model's, or None; chats need it.
    :param unused: the fields of its records that were not used, found while reading.
    :param answers: its labels, where the layout knows them without a file.
    """

    name: str
    paths: Mapping[str, Any]
    labels: Path | None = None
    settings: TaskSettings = field(default_factory=TaskSettings)
    tokenizer: Any = None
    unused: set[str] = field(default_factory=set)
    answers: tuple[str, ...] | None = None

    def place(self, split: str) -> Path | str:
        """Say where a split is, for error messages."""
        source = self.paths[split]
        return Path(source) if isinstance(source, (str, Path)) else f"task {self.name!r}, {split}"

    def examples(self, split: str, records: list[dict[str, Any]] | None = None) -> tuple[TextExample, ...]:
        """Make the examples of a split from the usual fields, or from the columns of the settings.

        :param records: its records; by default those of its file.
        :raises ValueError: for a file or a record that is something else; the message names it.
        """
        where = self.place(split)
        records = records_of(self.paths[split], where) if records is None else records
        examples, unused = examples_of(where, records, self.settings, self.tokenizer)
        self.unused.update(unused)
        return examples


class Layout:
    """One way in which people keep tasks on disk; one of your own has a name, a pattern and the first two methods."""

    name: str
    """What it is called."""
    pattern: str
    """How its files look, for people."""
    instructs = True
    """Whether its files carry instructions; if not, a template of ours stands in."""
    words_prompts = False
    """Whether it puts the instruction of the settings into the prompts itself."""

    def matches(self, folder: Path) -> bool:
        """Say whether a folder is in this layout, by the files that are there, without reading them all."""
        raise NotImplementedError

    def tasks(self, folder: Path) -> dict[str, TaskFiles]:
        """Find the tasks, by canonical name (:mod:`~avalanche_aim.text.data.layouts.finding` helps).

        :raises ValueError: for two files or folders that are one task.
        """
        raise NotImplementedError

    def read(self, files: TaskFiles, split: str) -> tuple[TextExample, ...]:
        """Read one split; by default records with the usual fields.

        :param split: "train", "dev" or "test", which must be there.
        :raises ValueError: for a file that is not what the layout says; the message names file and record.
        """
        return files.examples(split)

    def note(self, folder: Path) -> str | None:
        """Say what to know before comparing scores with tables made from another layout; by default nothing."""
        return None
