"""Which strategies stand out in the plots, and how each looks in all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from .content import Report

COLOURS = 8
"""The style sheet's classes c0 to c7; more cannot be told apart."""
DASHES = (None, "6 3", "2 3", "9 3 2 3")


@dataclass(frozen=True)
class Look:
    """The class and dashes of a strategy's line; ``emphasised`` is False for one in grey."""

    css: str
    dashes: str | None
    emphasised: bool


def looks(report: Report) -> dict[str, Look]:
    """Return each strategy's look: colours for the baseline, AIM and the highest mean OP, grey for the rest.

    :param report: its content.
    """
    chosen = emphasised(report)
    grey = Look("other", None, False)
    coloured = {name: Look(f"c{i}", DASHES[i % len(DASHES)], True) for i, name in enumerate(chosen)}
    return {name: coloured.get(name, grey) for name in report.strategies}


def emphasised(report: Report) -> Sequence[str]:
    """Return the strategies that have a colour, in the order of the report.

    :param report: its content.
    """
    always = [name for name in (report.baseline, "aim") if name in report.strategies]
    chosen = set(list(dict.fromkeys([*always, *report.strategies]))[:COLOURS])
    return [name for name in report.strategies if name in chosen]
