"""Writing a report: which formats there are, and where they go."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ..storage.files import write_atomically
from .content import Report
from .documents import csv_report, latex_report, markdown_report, text_report
from .page import page

FORMATS: dict[str, tuple[str, Callable[[Report], str]]] = {
    "markdown": ("report.md", markdown_report),
    "latex": ("report.tex", latex_report),
    "csv": ("report.csv", csv_report),
    "html": ("report.html", page),
}
"""Format → its file and what makes it."""


def write_report(folder: Path, formats: Sequence[str], baseline: str | None = None, out: Path | None = None) -> str:
    """Read a comparison and write it in the formats that are asked for.

    :param folder: of the comparison.
    :param formats: keys of :data:`FORMATS`, "text" for what is returned anyway, or "all".
    :param baseline: what the others are compared with; naive by default, where there are runs of it.
    :param out: where to; ``folder`` by default.
    :return: the report as text, with the names of the files.
    :raises ValueError: for a baseline without finished runs, or a damaged file.
    :raises FileNotFoundError: if there is no run.
    """
    report = Report.read(folder, baseline)
    target = folder if out is None else out
    written = []
    for name, (file, render) in FORMATS.items():
        if name in formats or "all" in formats:
            write_atomically(target / file, render(report).encode())
            written.append(file)
    end = f"\nWritten to {target}: {', '.join(written)}\n" if written else ""
    return text_report(report) + end
