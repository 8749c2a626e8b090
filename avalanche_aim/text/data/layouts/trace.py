"""The layout of the TRACE benchmark: ``<Dataset>/{train,eval,test}.json``."""

from pathlib import Path

from ..tasks import TextExample
from .layout import TaskFiles, file_start, folder_tasks
from .records import answers_field, read_records, text_field


class TRACELayout:
    """A list of ``{"prompt", "answer"}`` a split; the development split is called ``eval``."""

    name = "TRACE"
    pattern = "<Dataset>/{train,eval,test}.json, a list of {prompt, answer}"
    instructs = True

    def matches(self, folder: Path) -> bool:
        """Recognised by an ``eval.json`` in any folder, or by records with a ``prompt``."""
        if any(folder.glob("*/eval.json")):
            return True
        first = next((path for path in sorted(folder.glob("*/t*.json")) if path.is_file()), None)
        return first is not None and first.stem in ("train", "test") and '"prompt"' in file_start(first)

    def tasks(self, folder: Path) -> dict[str, TaskFiles]:
        """Find the tasks; see :class:`~avalanche_aim.text.data.layouts.layout.Layout`."""
        return folder_tasks(folder.glob("*/"), lambda split: ("eval.json" if split == "dev" else f"{split}.json",))

    def read(self, files: TaskFiles, split: str) -> tuple[TextExample, ...]:
        """Read one split; see :class:`~avalanche_aim.text.data.layouts.layout.Layout`."""
        path = files.paths[split]
        return tuple(
            TextExample(text_field(path, row, record, "prompt"), answers_field(path, row, record, "answer"))
            for row, record in enumerate(read_records(path))
        )

    def note(self, folder: Path) -> str | None:
        """TRACE's own tables use measures that this library has not."""
        return "TRACE scores 20Minuten by SARI and Py150 by edit similarity; here open answers are scored by ROUGE-L"
