"""Results as the table that a comparison prints: Markdown, one row for each strategy."""

from collections.abc import Sequence

from ..experiments.result import Result
from .quantities import COSTS, GENERAL, LABEL_ACCURACY, METRICS, MINUTES, task_score
from .statistics import Spread
from .tables import NONE, Table, cell, markdown


def results_table(results: Sequence[Result]) -> str:
    """Lay out results: final score of each task, OP, BWT, FWT and general ability if measured, cost.

    Over seeds it is mean ± deviation.

    :param results: runs over the same tasks, any number of seeds for each strategy.
    """
    tasks = results[0].tasks
    op, bwt, fwt = METRICS[:3]
    measured = [op, bwt, fwt] if any("FWT" in result.metrics for result in results) else [op, bwt]
    general = [GENERAL] if any(result.general is not None for result in results) else []
    shown = [*map(task_score, tasks), *measured, LABEL_ACCURACY, *general, MINUTES, COSTS[-1]]
    rows = []
    for name in dict.fromkeys(result.strategy for result in results):
        runs = [result for result in results if result.strategy == name]
        found = [[v for run in runs if (v := quantity.value(run)) is not None] for quantity in shown]
        digits = [1] * (len(shown) - 1) + [0]
        rows.append([name, *(_cell(values, n) for values, n in zip(found, digits, strict=True))])
    return markdown(Table("Results", ["strategy", *tasks, *(q.name for q in shown[len(tasks) :])], rows))


def _cell(values: Sequence[float], digits: int) -> str:
    spread = Spread.of(values)
    return NONE if spread is None else cell(spread.mean, spread.deviation, digits)
