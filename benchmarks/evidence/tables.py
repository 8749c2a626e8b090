"""The evidence's table and figure, of comparisons that are done or under way.

python -m benchmarks.evidence.tables long short --titles "Long tasks" "Short tasks" --figure rivals.png
python -m benchmarks.evidence.tables m1 m2 m5 --titles "1 %" "2 %" "5 %" --lines "memory of each task" memory_sizes.png

Each folder's table has the mean OP and BWT of each strategy, its paired difference to the baseline over orders and
seeds, all with 95 % bootstrap intervals, and what its runs cost. The figure has a panel for each folder; the lines go
from folder to folder.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from avalanche_aim.experiments.result import Result
from avalanche_aim.experiments.store import RunStore
from avalanche_aim.experiments.tuned import Tuned
from avalanche_aim.report.drawing import Plot
from avalanche_aim.report.palette import look
from avalanche_aim.report.statistics import Interval, bootstrap_interval, paired_difference
from avalanche_aim.report.tables import NONE, Table, cell, markdown

HEADER = [
    "strategy",
    "rate",
    "setting",
    "runs",
    "OP",
    "BWT",
    "Δ OP",
    "Δ BWT",
    "passes",
    "others",
    "memory",
    "steps",
    "s",
]
Runs = Mapping[str, Mapping[tuple[str, int], Result]]


def main(argv: list[str] | None = None) -> int:
    """Print the tables, and draw the figure where it is asked for; returns 0."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="what --out of the comparisons was")
    p.add_argument("--baseline", default="alternate", metavar="NAME", help="(default: alternate)")
    p.add_argument("--titles", nargs="+", metavar="TEXT", help="of the folders (default: their names)")
    p.add_argument("--figure", type=Path, metavar="PNG", help="where to draw the figure")
    p.add_argument("--lines", nargs=2, metavar=("TEXT", "PNG"), help="what changes between folders, and a file")
    p.add_argument("--pairs", nargs="+", default=[], metavar="A:B", help="differences between strategies, to print too")
    arguments = p.parse_args(argv)
    titles = arguments.titles or [folder.name for folder in arguments.folders]
    panels = {title: runs_of(folder) for title, folder in zip(titles, arguments.folders, strict=True)}
    for (title, runs), folder in zip(panels.items(), arguments.folders, strict=True):
        print(f"### {title}\n\n{markdown(table(title, runs, folder, arguments.baseline))}\n")
    for pair in arguments.pairs:
        one, other = pair.split(":")
        cells = [f"{change(runs, one, other, 'OP')} | {change(runs, one, other, 'BWT')}" for runs in panels.values()]
        print(f"| {one} − {other} | {' | '.join(cells)} |")
    if arguments.figure:
        figure(panels).save(arguments.figure)
    if arguments.lines:
        what, file = arguments.lines
        lines(panels, what).save(Path(file))
    return 0


def runs_of(folder: Path) -> Runs:
    """Return strategy → (order, seed) → its run, the best OP first."""
    results, _ = RunStore(folder).load()
    runs: dict[str, dict[tuple[str, int], Result]] = {}
    for result in results:
        runs.setdefault(result.strategy, {})[result.order, result.seed] = result
    return dict(sorted(runs.items(), key=lambda item: -fmean(numbers(item[1], "OP").values())))


def numbers(runs: Mapping[tuple[str, int], Result], metric: str) -> dict[tuple[str, int], float]:
    """Return a metric of each run."""
    return {run: result.metrics[metric] for run, result in runs.items()}


def table(title: str, runs: Runs, folder: Path, baseline: str) -> Table:
    """Return a folder's table."""
    file = folder / "tuned.json"
    choices: Mapping[str, Any] = Tuned.read(file).choices if file.exists() else {}
    rows = []
    for name, own in runs.items():
        choice = choices.get(name)
        rate = NONE if choice is None else f"{1e3 * choice.learning_rate:g}·10⁻³" + " (edge)" * choice.at_edge
        options = ", ".join(f"{k} {v:g}" for k, v in choice.options.items()) if choice and choice.options else NONE
        costs = [result.cost for result in own.values() if result.cost is not None]
        passes, others, share, steps, minutes = (
            fmean(getattr(cost, field) for cost in costs)
            for field in ("gradient_passes", "other_passes", "memory_share", "optimizer_steps", "training_minutes")
        )
        cells = [name, rate, options, f"{len(own)}"]
        cells += [_mean(list(numbers(own, metric).values())) for metric in ("OP", "BWT")]
        cells += [NONE if name == baseline else change(runs, name, baseline, metric) for metric in ("OP", "BWT")]
        cells += [f"{passes:.2f}", f"{others:.2f}", f"{share:.0%}", f"{steps:.0f}", f"{60 * minutes:.0f}"]
        rows.append(cells)
    return Table(title, HEADER, rows)


def change(runs: Runs, one: str, other: str, metric: str) -> str:
    """Return the paired difference of two strategies with its interval, as a table has it."""
    found = paired_difference(numbers(runs.get(one, {}), metric), numbers(runs.get(other, {}), metric))
    return NONE if found is None else _with_interval(found.spread.mean, found.interval, "+")


def figure(panels: Mapping[str, Runs]) -> Plot:
    """Return a panel for each comparison: OP of each strategy, with its interval over orders and seeds."""

    def draw(figure: Any) -> None:
        for number, (title, runs) in enumerate(panels.items(), 1):
            axis = figure.add_subplot(rows, columns, number)
            for place, (name, own) in enumerate(reversed(list(runs.items()))):
                values = list(numbers(own, "OP").values())
                axis.plot(_limits(values), [place, place], color=look(name).hex, lw=3)
                axis.plot(fmean(values), place, look(name).marker, color=look(name).hex, ms=7)
            axis.set_yticks(range(len(runs)), list(runs)[::-1])
            axis.set_title(title)
            axis.set_xlabel("OP after the last task, in percent")

    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    height = rows * (90 + 22 * max(map(len, panels.values())))
    return Plot("Mean OP of each strategy with its 95 % interval", 430 * columns, height, draw)


def lines(panels: Mapping[str, Runs], what: str) -> Plot:
    """Return OP from comparison to comparison: a line for each strategy that all of them have, with its intervals."""

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        first = next(iter(panels.values()))
        for name in (name for name in first if all(name in runs for runs in panels.values())):
            values = [list(numbers(runs[name], "OP").values()) for runs in panels.values()]
            places, color = range(len(values)), look(name).hex
            axis.plot(places, [fmean(own) for own in values], look(name).marker, ls="-", color=color, label=name)
            axis.vlines(places, *zip(*map(_limits, values), strict=True), color=color, lw=2)
        axis.set_xticks(range(len(panels)), list(panels))
        axis.set_xlabel(what)
        axis.set_ylabel("OP after the last task, in percent")
        axis.legend()

    return Plot(f"Mean OP of each strategy along {what}, with its 95 % interval", 640, 420, draw)


def _interval(values: Sequence[float]) -> Interval | None:
    """Return the interval of the mean; none of a single run."""
    return bootstrap_interval(values) if len(values) > 1 else None


def _limits(values: Sequence[float]) -> Interval:
    return _interval(values) or (values[0], values[0])


def _mean(values: Sequence[float]) -> str:
    return _with_interval(fmean(values), _interval(values))


def _with_interval(mean: float, interval: Interval | None, sign: str = "") -> str:
    numbers = [cell(number, sign=sign) for number in (mean, *(interval or ()))]
    text = numbers[0] if interval is None else f"{numbers[0]} [{numbers[1]}, {numbers[2]}]"
    return text.replace("-", "−")


if __name__ == "__main__":
    raise SystemExit(main())
