"""The tables of a report."""

from collections.abc import Sequence
from dataclasses import dataclass

from .content import Report
from .quantities import COSTS, GENERAL, LABEL_ACCURACY, METRICS, Quantity, general_quantities, task_score
from .statistics import CONFIDENCE, FEW, Difference, Interval, bootstrap_interval

NONE = "–"
"""Shown where there is no number."""
COMPARED = METRICS[:3]
"""Shown as differences; that of Forgetting is nearly BWT's, and in the CSV file."""


@dataclass(frozen=True)
class Table:
    """Names in the first column, numbers in the others.

    :param note: what a reader must know to read it.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def cell(mean: float | None, deviation: float | None = None, digits: int = 1, sign: str = "") -> str:
    """Write mean ± deviation.

    :param mean: None is shown as a dash.
    :param sign: "+" to show the sign of positive numbers.
    """
    if mean is None:
        return NONE
    mean = round(mean, digits) + 0.0  # no negative zero
    sign = sign if mean else ""
    spread = "" if deviation is None else f" ± {deviation:.{digits}f}"
    return f"{mean:{sign}.{digits}f}{spread}"


def markdown(table: Table) -> str:
    """Lay out a table as Markdown that reads well as it stands."""
    header, *rows = [[field.replace("|", r"\|") for field in line] for line in (table.header, *table.rows)]
    widths = [max(3, *map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [[line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in (header, rule, *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def score_table(report: Report) -> Table:
    """The metrics, one row for each strategy."""
    alone = "" if report.baseline else " There are no differences without a baseline."
    note = ("Mean ± sample standard deviation over seeds and orders; without ± it is one run. Scores are in percent. "
            f"The highest mean OP stands first.{alone}")  # fmt: skip
    return _means(report, "Scores of each strategy", (*METRICS, *report.own, LABEL_ACCURACY, GENERAL), note)


def cost_table(report: Report) -> Table:
    """What the runs cost, one row for each strategy."""
    return _means(report, "Cost of each strategy", COSTS, "Without ± it is one run, or a cost that does not vary.")


def _means(report: Report, title: str, quantities: Sequence[Quantity], note: str) -> Table:
    # A column that was asked for stays where it is empty; the report says why.
    shown = [q for q in quantities if report.has(q) or (q is GENERAL and report.asks_general)]
    rows = [[name, str(len(report.runs(name))), *(_mean(report, name, quantity) for quantity in shown)]
            for name in report.strategies]  # fmt: skip
    return Table(title, ["strategy", "runs", *(quantity.name for quantity in shown)], rows, note)


def difference_table(report: Report) -> Table | None:
    """Paired differences to the baseline, one row a strategy.

    :return: None where there is nothing to compare.
    """
    shown = [quantity for quantity in (*COMPARED, *report.own) if report.has(quantity)]
    rows = []
    for name in report.strategies:
        differences = [report.difference(name, quantity) for quantity in shown]
        if any(differences):
            pairs = max(d.spread.count for d in differences if d is not None)
            rows.append([name, str(pairs), *(text for d in differences for text in _difference(d))])
    if not rows:
        return None
    header = [name for quantity in shown for name in (f"Δ {quantity.name}", "interval", "relative")]
    return Table(f"Differences to {report.baseline}", ["strategy", "pairs", *header], rows, _note(report))


def task_table(report: Report) -> Table:
    """The final score of each task, one row a strategy."""
    rows = [[name, *(_mean(report, name, task_score(task)) for task in report.tasks)] for name in report.strategies]
    return Table(
        "Score of each task after the last",
        ["strategy", *map(report.counted, report.tasks)],
        rows,
        "R[T−1][j], in percent: mean ± sample standard deviation over seeds and orders. n: rows that were evaluated.",
    )


def general_tables(report: Report) -> list[Table]:
    """General ability, a table for each of its tasks, one row a strategy."""
    return [_general_table(report, name) for name in report.general_tasks]


def _general_table(report: Report, name: str) -> Table:
    quantities = general_quantities(name)
    change = quantities[2]
    rows = []
    for strategy in report.strategies:
        changes = list(report.values(strategy, change).values())
        interval = _interval(bootstrap_interval(changes) if len(changes) > 1 else None)
        means = [_mean(report, strategy, quantity) for quantity in quantities]
        rows.append([strategy, str(len(changes)), *means[:3], interval, *means[3:]])
    moved = ["right → wrong", "adjusted", "wrong → right", "adjusted"]
    header = ["strategy", "runs", "before", "after", "change", "interval", *moved]
    task = next(task for run in report.results if run.general and (task := run.general.task(name)))
    note = (
        f"Accuracy ({task.metric}) in percent on {task.questions} questions that the stream has not, before its first "
        f"task and after its last; guessing has {task.guessed:.0f} %. change: in points, with the {CONFIDENCE:.0%} "
        f"percentile bootstrap interval of its mean over orders and seeds, rough with fewer than {FEW} runs; one run "
        "has none. →: the share of questions that moved; adjusted: without what guessing moves, a lower bound. Nothing "
        "here is part of the scores above."
    )
    return Table(f"General ability: {name}", header, rows, note)


def tables(report: Report) -> list[Table]:
    """Return what a terminal and a paper have room for."""
    found = [score_table(report), difference_table(report), *general_tables(report), cost_table(report)]
    return [table for table in found if table is not None]


def _mean(report: Report, strategy: str, quantity: Quantity) -> str:
    spread = report.spread(strategy, quantity)
    if spread is None:
        return NONE
    deviation = spread.deviation
    if quantity in COSTS and deviation is not None and not round(deviation, quantity.digits):
        deviation = None
    return cell(spread.mean, deviation, quantity.digits)


def _difference(difference: Difference | None) -> Sequence[str]:
    if difference is None:
        return NONE, NONE, NONE
    interval = _interval(difference.interval)
    relative = difference.relative
    change = NONE if relative is None else f"{cell(100 * relative, digits=0, sign='+')} %"
    return cell(difference.spread.mean, difference.spread.deviation, sign="+"), interval, change


def _interval(interval: Interval | None) -> str:
    return NONE if interval is None else f"[{cell(interval[0], sign='+')}, {cell(interval[1], sign='+')}]"


def _note(report: Report) -> str:
    return (
        f"Δ is the mean ± standard deviation of strategy − {report.baseline}, over the orders and seeds that both have "
        f"(pairs), in points; interval: {CONFIDENCE:.0%} percentile bootstrap of that mean, and rough with fewer than "
        f"{FEW} pairs; one pair has none. relative: (mean − mean of {report.baseline}) / |mean of {report.baseline}| "
        "over the pairs; undefined unless the baseline's runs all lie on one side of 0. No correction is made for "
        "comparing many strategies."
    )
