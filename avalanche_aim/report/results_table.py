"""Results as a table for people."""

from collections.abc import Sequence
from math import isfinite, nan
from statistics import mean

from ..experiments.result import Result
from .statistics import Spread
from .table import NONE, Table, cell, markdown


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
    return markdown(Table("Results", header, rows))


def _row(name: str, runs: Sequence[Result], metrics: Sequence[str]) -> list[str]:
    columns: list[list[float]] = [[float(run.r[-1][i] or 0.0) for run in runs] for i in range(len(runs[0].tasks))]
    columns += [[run.metrics.get(key, nan) for run in runs] for key in metrics]
    columns.append([mean(run.label_accuracy) for run in runs if run.label_accuracy])
    columns.append([run.cost.minutes for run in runs])
    merges = [float(run.merges) for run in runs if run.merges is not None]
    return [name, *(_cell(values) for values in columns), _cell(merges, 0)]


def _cell(values: Sequence[float], digits: int = 1) -> str:
    spread = Spread.of(values) if all(map(isfinite, values)) else None
    return NONE if spread is None else cell(spread.mean, spread.deviation, digits)
