"""A report from a template, as text, Markdown, LaTeX or HTML, and its numbers as CSV."""

import csv
import io
import re
from typing import Any

from ..evaluation.general import GENERAL_DEFINITIONS
from ..experiments.store import SCORE
from .content import Report
from .finding import finding, limits
from .origins import about, provenance, settings, title
from .quantities import COSTS, LABEL_ACCURACY, METRICS
from .tables import markdown, tables, task_table

COLUMNS = ("strategy", "quantity", "unit", "runs", "mean", "std", "baseline", "pairs", "difference", "difference_std",
           "ci_low", "ci_high", "relative_change")  # fmt: skip
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "±": r"$\pm$", "–": "--", "−": "$-$", "Δ": r"$\Delta$", "Σ": r"$\Sigma$", "…": r"\dots{}",
    "→": r"$\to$",
}  # fmt: skip


def document(report: Report, template: str, **more: Any) -> str:
    """Return a report as a template has it.

    :param template: a file of ``templates``.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(loader=PackageLoader(__package__), autoescape=".html" in template, undefined=StrictUndefined,
                       trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)  # fmt: skip
    made.filters |= {"markdown": markdown, "latex": latex_escape, "minus": minus, "line": lambda s: " ".join(s.split())}
    finished = bool(report.results)
    return made.get_template(template).render(
        report=report, title=title(report.origins), about=about(report.origins, report.results),
        finding=finding(report), limits=limits(report), settings=settings(report.origins),
        provenance=provenance(report.origins), definitions=definitions(report),
        tables=tables(report) if finished else [], task_tables=[task_table(report)] if finished else [], **more,
    )  # fmt: skip


def csv_report(report: Report) -> str:
    """Return one row for each strategy and quantity, all digits, for pandas and the like."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for strategy in report.strategies:
        for quantity in report.quantities:
            spread, difference = report.spread(strategy, quantity), report.difference(strategy, quantity)
            if spread is not None:
                row = [strategy, quantity.name, quantity.unit, spread.count, spread.mean, spread.deviation]
                if difference is not None:
                    pairs, bounds = difference.spread, difference.interval or (None, None)
                    row += [report.baseline, pairs.count, pairs.mean, pairs.deviation, *bounds, difference.relative]
                writer.writerow(row + [None] * (len(COLUMNS) - len(row)))
    return file.getvalue()


def definitions(report: Report) -> dict[str, str]:
    """Return the meaning of each quantity that is shown, by name."""
    shown = {q.name: q.meaning for q in (*METRICS, *report.own, LABEL_ACCURACY, *COSTS) if report.has(q)}
    general = GENERAL_DEFINITIONS if report.asks_general else {}
    return {"score": SCORE, "R[i][j]": "score on task j after training on task i, from 0 to T-1", **shown, **general}


def latex_escape(text: str) -> str:
    """Return text that LaTeX prints as it stands."""
    return "".join(_LATEX.get(character, character) for character in text)


def minus(number: str) -> str:
    """Put minus signs for the hyphens before numbers."""
    return re.sub(r"-(?=\d)", "−", number)
