"""Results as a table for people."""

from collections.abc import Sequence
from math import isfinite, nan
from statistics import mean, stdev

from .runner import Result


def results_table(results: Sequence[Result]) -> str:
    """Lay out results, one row a strategy: final score of each task, OP, BWT, FWT if measured, cost.

    With several seeds each cell is mean ± standard deviation over them. The table is Markdown.

    :param results: runs over the same tasks, any number of seeds a strategy.
    """
    tasks = results[0].tasks
    metrics = [name for name in ("OP", "BWT", "FWT") if any(name in result.metrics for result in results)]
    header = ["strategy", *tasks, *metrics, "label acc.", "minutes", "merges"]
    names = list(dict.fromkeys(result.strategy for result in results))
    rows = [_row(name, [r for r in results if r.strategy == name], metrics) for name in names]
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    lines = [header, ["-" * widths[0], *("-" * (w - 1) + ":" for w in widths[1:])], *rows]
    return "\n".join(f"| {' | '.join(_pad(line, widths))} |" for line in lines)


def _row(name: str, runs: Sequence[Result], metrics: Sequence[str]) -> list[str]:
    columns: list[list[float]] = [[float(run.r[-1][i] or 0.0) for run in runs] for i in range(len(runs[0].tasks))]
    columns += [[run.metrics.get(key, nan) for run in runs] for key in metrics]
    columns.append([mean(run.label_accuracy) for run in runs if run.label_accuracy])
    columns.append([run.cost.minutes for run in runs])
    merges = [float(run.merges) for run in runs if run.merges is not None]
    return [name, *(_cell(values) for values in columns), _cell(merges, 0)]


def _cell(values: Sequence[float], digits: int = 1) -> str:
    if not values or not all(map(isfinite, values)):
        return "–"
    spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{spread}"


def _pad(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))]
