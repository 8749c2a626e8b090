"""Layouts whose prompts are ready to use: those of the AIMMerging repository, of TRACE, and of a user's own files."""

from pathlib import Path

from ..records import SUFFIXES
from .finding import entries, file_start, folder_tasks, split_files, split_tasks
from .layout import Layout, TaskFiles


class AIMMergingLayout(Layout):
    """One folder a split, one JSON list of ``{"id", "input", "output"}`` a task."""

    name = "AIMMerging"
    pattern = "{train,dev,test}/<task>_T5.json or <task>.json, a list of {input, output}"

    def matches(self, folder: Path) -> bool:
        """Recognised by JSON files in folders called as splits, and no other kind of records beside them."""
        return {path.suffix for _, path in split_files(folder)} & set(SUFFIXES) == {".json"}

    def tasks(self, folder: Path) -> dict[str, TaskFiles]:
        return split_tasks(folder, (".json",), ending="_T5")

    def note(self, folder: Path) -> str | None:
        """Published files, recognised by their ``_T5``, are a sample of the tasks."""
        if not any(folder.glob("*/*_T5.json")):
            return None
        return (
            "AIMMerging trains on at most 1,000 rows a task in total, O-LoRA on up to 1,000 a class: scores from "
            "these files belong in no table with scores from O-LoRA's"
        )


class TRACELayout(Layout):
    """A list of ``{"prompt", "answer"}`` a split; the development split is called ``eval``."""

    name = "TRACE"
    pattern = "<Dataset>/{train,eval,test}.json, a list of {prompt, answer}"

    def matches(self, folder: Path) -> bool:
        """Recognised by an ``eval.json`` in any folder, or by records with a ``prompt``."""
        if entries(folder, "*/eval.json"):
            return True
        first = next((path for path in entries(folder, "*/t*.json") if path.is_file()), None)
        return first is not None and first.stem in ("train", "test") and '"prompt"' in file_start(first)

    def tasks(self, folder: Path) -> dict[str, TaskFiles]:
        return folder_tasks(folder, "*")

    def note(self, folder: Path) -> str | None:
        """One of TRACE's tables uses a measure that this library has not."""
        return "TRACE scores 20Minuten by SARI, which needs the source text; here it is scored by ROUGE-L"


class PlainLayout(Layout):
    """A folder a split or a folder a task; records with the usual fields, or with columns that the user names."""

    name = "plain"
    pattern = "{train,dev,test}/<task> or <task>/{train,dev,test}, each .json, .jsonl, .csv, .tsv or .parquet"

    def matches(self, folder: Path) -> bool:
        """Recognised last: by any file of records in the folder of a split or named as a split."""
        return bool(self.tasks(folder))

    def tasks(self, folder: Path) -> dict[str, TaskFiles]:
        if any(path.suffix in SUFFIXES for _, path in split_files(folder)):
            return split_tasks(folder, SUFFIXES)
        return folder_tasks(folder, "*", SUFFIXES)
