"""The plots that a comparison leaves beside its runs."""

from collections.abc import Sequence
from pathlib import Path

from ..experiments.result import Result
from .drawing import side_by_side
from .signal_plots import signal_plot
from .stream_plots import heat_map


def draw_results(results: Sequence[Result], folder: Path) -> list[Path]:
    """Write R of the first order and seed as R.png, and the signals of each run that merges."""
    first = results[0]
    shown = [r for r in results if (r.order, r.seed) == (first.order, first.seed)]
    plots = {
        folder / "R.png": side_by_side([heat_map(f"{run.strategy}: {run.metrics['OP']:.1f}", [run]) for run in shown])
    }
    for run in results:
        if run.history is not None and (run.history.iterations or run.history.merges):
            plots[folder / f"signals_{run.key.stem}.png"] = signal_plot(run)
    for path, plot in plots.items():
        plot.save(path)
    return list(plots)
