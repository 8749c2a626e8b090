"""A report as one HTML page: no script, nothing loaded from elsewhere."""

import os
from collections import Counter
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from ..experiments.result import Result
from .content import Report
from .cost_plot import cost_plots
from .documents import document
from .drawing import Plot, swatch
from .palette import COLOURS, look
from .signal_plots import LEGEND, signal_plot
from .stream_plots import heat_map, overview_plots, task_bars, task_plots


def page(report: Report, beside: Path | None = None) -> str:
    """Return the page.

    :param beside: the folder it is written to, for links to the files of the comparison; its own by default.
    """
    from markupsafe import Markup

    numbers = count()
    merging: dict[str, list[Result]] = {}
    for name in report.strategies:
        if runs := [run for run in report.runs(name) if run.history is not None]:
            merging[name] = runs
    sections = ["Scores", "Stream", "Tasks", "Cost"] * bool(report.results) + ["Signals"] * bool(merging)
    sections += ["Failures"] * bool(report.failures) + ["Files", "Settings", "Definitions"]
    own, of_runs = _files(report, beside or report.folder)
    return document(
        report, "report.html.j2", sections=sections, colours=COLOURS, files=own, run_files=of_runs,
        svg=lambda plot: Markup(plot.svg(f"p{next(numbers)}-")),
        swatches={name: swatch("-", look(name).marker, look(name).colour) for name in report.strategies},
        overview_plots=overview_plots, task_plots=task_plots, heat_maps=_heat_maps, task_bars=task_bars,
        cost_plots=cost_plots,
        merging=merging, signal_plot=signal_plot, signal_legend=LEGEND, happened=_happened,
    )  # fmt: skip


def _heat_maps(report: Report, order: str) -> list[Plot]:
    runs = {name: report.runs(name, order) for name in report.strategies}
    return [heat_map(name, found) for name, found in runs.items() if found]


def _happened(run: Result) -> str:
    """What became of a run's merges, in a sentence."""
    assert run.history is not None  # callers choose such runs
    merges = run.history.merges
    if not run.history.iterations and not merges:
        what = "never merged; nothing was monitored, as without a memory or in tasks that are too short"
    elif not any(merge.merged for merge in merges):
        what = "never merged, so the weights are those of training alone"
    else:
        found = Counter(name for merge in merges for name in merge.diagnosis.split("+") if name)
        recognised = "".join(f"; {name} was recognised at {times} of them" for name, times in found.items())
        what = f"{len(merges)} {'merge' if len(merges) == 1 else 'merges'}{recognised}"
    said = f" It warned: {'; '.join(run.history.notes)}." if run.history.notes else ""
    return f"{run.key}: {what}.{said}"


def _files(report: Report, beside: Path) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """The files of the comparison and of each run that are there, by name, as seen from the page."""

    def there(files: Mapping[str, Path]) -> dict[str, str]:
        return {name: Path(os.path.relpath(path, beside)).as_posix() for name, path in files.items() if path.is_file()}

    runs = report.folder / "runs"
    own = {name: report.folder / name for name in ("results.json",)}
    own |= {name: beside / name for name in ("report.csv", "report.md", "report.tex")}
    of_runs = {
        str(run.key): there({
            "run (JSON)": runs / f"{run.key.stem}.json", "R (CSV)": runs / f"R_{run.key.stem}.csv",
            "merges (CSV)": runs / f"history_{run.key.stem}_merges.csv",
            "iterations (CSV)": runs / f"history_{run.key.stem}_iterations.csv",
        })
        for run in [*report.results, *report.failures]
    }  # fmt: skip
    return there(own), of_runs
