"""What the numbers say, in one sentence, and what limits it."""

from collections.abc import Sequence

from ..evaluation.general import reasons
from ..experiments.result import Key
from .content import REFERENCES, Report
from .quantities import OP
from .statistics import CONFIDENCE, FEW, Difference
from .tables import cell


def finding(report: Report) -> str:
    """Return the sentence: the highest mean OP, and whether its difference to the baseline can be told from 0."""
    if not report.results:
        return f"No run has finished; {len(report.failures)} failed."
    means = {name: spread.mean for name in report.strategies if (spread := report.spread(name, OP)) is not None}
    contenders = [name for name in means if name not in REFERENCES] or list(means)
    best = max(means[name] for name in contenders)
    leaders = [name for name in contenders if means[name] == best]
    if len(means) > 1 and set(means.values()) == {best}:
        return f"All {len(means)} strategies have the same mean OP, {cell(best)}: the runs do not tell them apart."
    sentence = f"{_besides(report, contenders)}{' and '.join(leaders)} {'have' if leaders[1:] else 'has'} the highest "
    sentence += f"mean OP, {_score(report, leaders[0])}"
    if report.baseline is None:
        return f"{sentence}; no baseline was chosen."
    if report.baseline in leaders:
        return f"{sentence}: no strategy is above the baseline {report.baseline}."
    return f"{sentence}; {_against(report.baseline, report.difference(leaders[0], OP))}."


def limits(report: Report) -> list[str]:
    """Return what a reader should hold against the finding."""
    lines = []
    if report.failures:
        verb = "is" if len(report.failures) == 1 else "are"
        lines.append(f"{_count(len(report.failures), 'run')} failed and {verb} in no number.")
    missing = report.missing
    if missing:
        lines.append(f"Missing {_count(len(missing), 'run')}, not run or not ended: {_named(missing)}.")
    if report.results and (report.failures or missing):
        lines.append("Means of strategies that lack runs are over other orders and seeds than those of the rest; "
                     "the differences are over shared ones only.")  # fmt: skip
    if report.not_measured:
        lines.append(f"General ability was not measured on {reasons(report.not_measured)}.")
    never = report.never_merged
    if never:
        lines.append("Never merged, so these are runs of training alone: "
                     f"{_named([run.key for run in never])}.")  # fmt: skip
    pairs = [d for name in report.strategies if (d := report.difference(name, OP)) is not None]
    if pairs and all(difference.interval is None for difference in pairs):
        lines.append("One pair of runs a strategy has no interval; more seeds or orders give one.")
    elif any(difference.rough for difference in pairs):
        fewest = min(difference.spread.count for difference in pairs)
        lines.append(f"Intervals from fewer than {FEW} pairs (here {fewest} at the least) are rough: they miss the "
                     "true difference more often than they say.")  # fmt: skip
    return lines


def _besides(report: Report, contenders: Sequence[str]) -> str:
    others = [name for name in report.strategies if name not in contenders]
    keep = "keeps" if len(others) == 1 else "keep"
    return f"Apart from {' and '.join(others)}, which {keep} all data of past tasks, " if others else ""


def _score(report: Report, strategy: str) -> str:
    spread = report.spread(strategy, OP)
    assert spread is not None  # a leader has a mean
    return f"{cell(spread.mean, spread.deviation)} over {_count(spread.count, 'run')}"


def _against(baseline: str, difference: Difference | None) -> str:
    if difference is None:
        return f"it shares no order and seed with {baseline}, so the two cannot be paired"
    mean = f"against {baseline} that is {cell(difference.spread.mean, sign='+')} points"
    if difference.interval is None:
        return f"{mean} in a single pair of runs, which cannot be told from chance"
    low, high = (cell(bound, sign="+") for bound in difference.interval)
    verdict = "excludes 0" if difference.excludes_zero else "includes 0, so the runs do not tell the two apart"
    return (f"{mean} over {difference.spread.count} pairs, with a {'rough ' if difference.rough else ''}"
            f"{CONFIDENCE:.0%} interval of [{low}, {high}], which {verdict}")  # fmt: skip


def _named(keys: Sequence[Key]) -> str:
    more = f" and {len(keys) - 5} more" if keys[5:] else ""
    return "; ".join(map(str, keys[:5])) + more


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
