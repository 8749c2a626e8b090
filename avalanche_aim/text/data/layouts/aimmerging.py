"""The layout of the AIMMerging repository: ``{train,dev,test}/<task>_T5.json``."""

from pathlib import Path

from ..tables import SUFFIXES
from .finding import split_files, split_tasks
from .layout import Layout, TaskFiles


class AIMMergingLayout(Layout):
    """One folder a split, one JSON list of ``{"id", "input", "output"}`` a task; prompts are ready to use."""

    name = "AIMMerging"
    pattern = "{train,dev,test}/<task>_T5.json or <task>.json, a list of {input, output}"

    def matches(self, folder: Path) -> bool:
        """Recognised by JSON files in folders called as splits, and no other kind of records beside them."""
        return {path.suffix for _, path in split_files(folder)} & set(SUFFIXES) == {".json"}

    def tasks(self, folder: Path) -> dict[str, TaskFiles]:
        """Find the tasks; see :class:`~avalanche_aim.text.data.layouts.layout.Layout`."""
        return split_tasks(folder, (".json",), ending="_T5")

    def note(self, folder: Path) -> str | None:
        """Published files, recognised by their ``_T5``, are a sample of the tasks."""
        if not any(folder.glob("*/*_T5.json")):
            return None
        return (
            "AIMMerging trains on at most 1,000 rows a task in total, O-LoRA on up to 1,000 a class: scores from "
            "these files belong in no table with scores from O-LoRA's"
        )
