"""Writing a report: which formats there are, and where they go."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ..storage.files import write_atomically
from .content import Report
from .documents import csv_report, document
from .page import page
from .quantities import own_metrics

DOCUMENTS: dict[str, tuple[str, Callable[[Report], str]]] = {
    "markdown": ("report.md", partial(document, template="report.md.j2")),
    "latex": ("report.tex", partial(document, template="report.tex.j2")),
    "csv": ("report.csv", csv_report),
}
"""Format → its file and what makes it."""
FORMATS = ("text", *DOCUMENTS, "html", "all")


def write_report(
    folder: Path,
    formats: Sequence[str],
    baseline: str | None = None,
    out: Path | None = None,
    metrics: Sequence[Path] = (),
) -> str:
    """Read a comparison and write it in the formats that are asked for.

    :param formats: of :data:`FORMATS`; "text" is what is returned anyway.
    :param baseline: what the others are compared with; naive by default, where there are runs of it.
    :param metrics: Python files with metrics of your own, :func:`~avalanche_aim.report.quantities.own_metrics`.
    :return: the report as text, with the names of the files.
    :raises ValueError: for a baseline without finished runs, a damaged file, or a metric that is none.
    :raises FileNotFoundError: if there is no run.
    """
    report = Report.read(folder, baseline, own_metrics(metrics))
    target = folder if out is None else out
    written = []
    for name, (file, render) in DOCUMENTS.items():
        if name in formats or "all" in formats:
            write_atomically(target / file, render(report).encode())
            written.append(file)
    if "html" in formats or "all" in formats:  # last, since it links to the others
        write_atomically(target / "report.html", page(report, target).encode())
        written.append("report.html")
    end = f"\nWritten to {target}: {', '.join(written)}\n" if written else ""
    return document(report, "report.txt.j2") + end
