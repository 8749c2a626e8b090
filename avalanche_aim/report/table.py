"""A table, and how it is written: aligned text, Markdown, LaTeX."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

NONE = "–"
"""Shown where there is no number."""

_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "±": r"$\pm$", "–": "--", "−": "$-$", "Δ": r"$\Delta$", "Σ": r"$\Sigma$", "…": r"\dots{}",
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """Names in the first column, numbers in the others.

    :param title: what it shows, in a few words.
    :param header: one name a column.
    :param rows: one text a column.
    :param note: what a reader must know to read it.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def cell(mean: float | None, deviation: float | None = None, digits: int = 1, sign: str = "") -> str:
    """Write mean ± deviation.

    :param mean: None is shown as a dash.
    :param deviation: left out if None.
    :param digits: after the point.
    :param sign: "+" to show the sign of positive numbers.
    """
    if mean is None:
        return NONE
    mean = round(mean, digits) + 0.0  # no negative zero
    sign = sign if mean else ""
    spread = "" if deviation is None else f" ± {deviation:.{digits}f}"
    return f"{mean:{sign}.{digits}f}{spread}"


def text(table: Table) -> str:
    """Lay out a table for a terminal.

    :param table: the table.
    """
    widths = _widths([table.header, *table.rows])
    lines = [table.header, ["─" * width for width in widths], *table.rows]
    return "\n".join("  ".join(_padded(line, widths)).rstrip() for line in lines)


def markdown(table: Table) -> str:
    """Lay out a table as Markdown that reads well as it stands.

    :param table: the table.
    """
    header, *rows = [[field.replace("|", r"\|") for field in line] for line in (table.header, *table.rows)]
    widths = [max(3, width) for width in _widths([header, *rows])]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(f"| {' | '.join(_padded(line, widths))} |" for line in (header, rule, *rows))


def latex(table: Table) -> str:
    """Write a table's tabular, with the rules of the package booktabs.

    :param table: the table.
    """
    lines = [r"\begin{tabular}{l" + "r" * (len(table.header) - 1) + "}", r"\toprule"]
    lines += [_line(table.header, latex_escape), r"\midrule"]
    lines += [_line(row, lambda number: latex_escape(minus(number))) for row in table.rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def latex_escape(text: str) -> str:
    """Return text that LaTeX prints as it stands.

    :param text: any text.
    """
    return "".join(_LATEX.get(character, character) for character in text)


def minus(number: str) -> str:
    """Put minus signs for the hyphens before numbers.

    :param number: a cell.
    """
    return re.sub(r"-(?=\d)", "−", number)


def _line(fields: Sequence[str], escaped: Callable[[str], str]) -> str:
    return " & ".join([latex_escape(fields[0]), *map(escaped, fields[1:])]) + r" \\"


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*lines, strict=True)]


def _padded(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [field.rjust(w) if i else field.ljust(w) for i, (field, w) in enumerate(zip(line, widths, strict=True))]
