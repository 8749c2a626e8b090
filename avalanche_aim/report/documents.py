"""A report as text, Markdown, LaTeX and CSV."""

import csv
import io
import textwrap
from collections.abc import Mapping
from typing import Any

from ..experiments.store import SCORE
from .content import Report
from .finding import failures, finding, limits
from .origins import provenance, settings, title
from .quantities import COSTS, LABEL_ACCURACY, METRICS, Quantity
from .table import Table, latex, latex_escape, markdown, text
from .tables import tables, task_table

WIDTH = 100
"""Of running text in a terminal."""
COLUMNS = ("strategy", "quantity", "unit", "runs", "mean", "std", "baseline", "pairs", "difference", "difference_std",
           "ci_low", "ci_high", "relative_change")  # fmt: skip


def text_report(report: Report) -> str:
    """Return the finding, the tables and the failures for a terminal.

    :param report: its content.
    """
    blocks = [textwrap.fill(" ".join([finding(report), *limits(report)]), WIDTH)]
    if report.results:
        blocks += [f"{table.title}\n\n{text(table)}\n\n{textwrap.fill(table.note, WIDTH)}" for table in tables(report)]
    blocks += [f"Failed: {name}: {reason}" for name, reason in failures(report)]
    return "\n\n".join(blocks) + "\n"


def markdown_report(report: Report) -> str:
    """Return a Markdown document.

    :param report: its content.
    """
    blocks = [f"# {title(report.origins)}", f"**{finding(report)}**", *limits(report)]
    if report.results:
        for table in (*tables(report), task_table(report)):
            blocks += [f"## {table.title}", markdown(table), table.note]
    if report.failures:
        blocks += ["## Failed runs", _bullets(dict(failures(report)))]
    blocks += ["## Definitions", _bullets(definitions(report))]
    blocks += ["## Settings", _bullets(settings(report.origins))]
    blocks += ["## Where it ran", _bullets(provenance(report.origins))]
    return "\n\n".join(blocks) + "\n"


def latex_report(report: Report) -> str:
    r"""Return tables for a LaTeX document that has ``\usepackage{booktabs}``.

    :param report: its content.
    """
    comments = [r"Needs \usepackage{booktabs}.", finding(report), *limits(report)]
    comments += [f"Failed: {name}: {reason}" for name, reason in failures(report)]
    where = {**settings(report.origins), **provenance(report.origins)}
    comments += [f"{name}: {value}" for name, value in where.items()]
    blocks = [f"% {' '.join(comment.split())}" for comment in comments]
    if report.results:
        meanings = " ".join(f"{name}: {meaning}." for name, meaning in definitions(report).items())
        blocks += [_float(table, meanings if not number else "") for number, table in enumerate(tables(report))]
    return "\n".join(blocks) + "\n"


def csv_report(report: Report) -> str:
    """Return one row a strategy and quantity, all digits, for pandas and the like.

    :param report: its content.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for strategy in report.strategies:
        for quantity in report.quantities:
            spread = report.spread(strategy, quantity)
            if spread is not None:
                row = [strategy, quantity.name, quantity.unit, spread.count, spread.mean, spread.deviation]
                writer.writerow([*row, *_compared(report, strategy, quantity)])
    return file.getvalue()


def definitions(report: Report) -> dict[str, str]:
    """Return the meaning of each quantity that is shown, by name.

    :param report: its content.
    """
    shown = {q.name: q.meaning for q in (*METRICS, *report.own, LABEL_ACCURACY, *COSTS) if report.has(q)}
    return {"score": SCORE, "R[i][j]": "score on task j after training on task i, from 0 to T-1", **shown}


def _compared(report: Report, strategy: str, quantity: Quantity) -> list[Any]:
    """The columns from ``baseline`` on."""
    difference = report.difference(strategy, quantity)
    if difference is None:
        return [None] * (len(COLUMNS) - COLUMNS.index("baseline"))
    spread, (low, high) = difference.spread, difference.interval or (None, None)
    return [report.baseline, spread.count, spread.mean, spread.deviation, low, high, difference.relative]


def _bullets(lines: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in lines.items())


def _float(table: Table, meanings: str) -> str:
    caption = latex_escape(" ".join(filter(None, (f"{table.title}.", table.note, meanings))))
    return "\n".join([r"\begin{table*}", r"\centering\small\setlength{\tabcolsep}{3pt}", rf"\caption{{{caption}}}",
                      latex(table), r"\end{table*}"])  # fmt: skip
