"""The layout of the AIMMerging repository: ``{train,dev,test}/<task>_T5.json``."""

from pathlib import Path

from ..tasks import SPLITS, TextExample
from .layout import TaskFiles, split_tasks
from .records import answers_field, read_records, text_field


def input_output(path: Path) -> tuple[TextExample, ...]:
    """Read records of ``input`` and ``output``, a text or a list of texts.

    :param path: the file.
    :raises ValueError: for anything else; the message names file and record.
    """
    return tuple(
        TextExample(text_field(path, row, record, "input"), answers_field(path, row, record, "output"))
        for row, record in enumerate(read_records(path))
    )


class AIMMergingLayout:
    """One folder a split, one JSON list of ``{"id", "input", "output"}`` a task; prompts are ready to use."""

    name = "AIMMerging"
    pattern = "{train,dev,test}/<task>_T5.json or <task>.json, a list of {input, output}"
    instructs = True

    def matches(self, folder: Path) -> bool:
        """Recognised by a JSON file in a folder named as a split, and no JSON Lines file beside it."""
        files = [path for split in SPLITS for path in (folder / split).glob("*")]
        return any(path.suffix == ".json" for path in files) and not any(path.suffix == ".jsonl" for path in files)

    def tasks(self, folder: Path) -> dict[str, TaskFiles]:
        """Find the tasks; see :class:`~avalanche_aim.text.data.layouts.layout.Layout`."""
        return split_tasks(folder, (".json",), ending="_T5")

    def read(self, files: TaskFiles, split: str) -> tuple[TextExample, ...]:
        """Read one split; see :class:`~avalanche_aim.text.data.layouts.layout.Layout`."""
        return input_output(files.paths[split])

    def note(self, folder: Path) -> str | None:
        """Published files, recognised by their ``_T5``, are a sample of the tasks."""
        if not any(folder.glob("*/*_T5.json")):
            return None
        return (
            "AIMMerging trains on at most 1,000 rows a task in total, O-LoRA on up to 1,000 a class: scores from "
            "these files belong in no table with scores from O-LoRA's"
        )
