"""The layout of the TRACE benchmark: ``<Dataset>/{train,eval,test}.json``."""

from pathlib import Path

from .finding import entries, file_start, folder_tasks
from .layout import Layout, TaskFiles


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
        """Find the tasks; see :class:`~avalanche_aim.text.data.layouts.layout.Layout`."""
        return folder_tasks(folder, "*")

    def note(self, folder: Path) -> str | None:
        """One of TRACE's tables uses a measure that this library has not."""
        return "TRACE scores 20Minuten by SARI, which needs the source text; here it is scored by ROUGE-L"
