"""The signals of an AIM run with its merges and its interval, on one axis of iterations."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, nan
from typing import Any

from ..experiments.result import Result
from ..merging import History
from .svg import Frame, Point, Scale, figure, label, polyline, shorten, spanned, tag, thinned

WIDTH, LEFT, RIGHT = 920, 56, 908
PANELS = LOSSES, ACTIVATIONS, LEARNING, INTERVAL = (216, 48), (298, 246), (386, 328), (474, 416)
"""Bottom and top of each panel."""
HEIGHT = 514


def signal_plot(result: Result) -> str:
    """Return the plot of a run: losses, forgetting signal, learning signal, interval.

    :param result: of a strategy with monitored iterations.
    """
    assert result.history is not None  # callers choose such runs
    line = _Timeline(result.history)
    x = Scale(0, line.length + 1, LEFT, RIGHT)
    panels = [_losses(line, x), _activations(line, x), _learning(line, x), _interval(line, x)]
    merges = "".join(_vertical(x(place), "merge" if merged else "merge given-up") for place, merged in line.merges)
    return figure(_description(result, line), WIDTH, HEIGHT, _tasks(line, x, result.tasks), merges, *panels)


@dataclass(frozen=True)
class _Timeline:
    """The experiences one after another, each as long as it was monitored."""

    history: History

    @cached_property
    def starts(self) -> dict[int, int]:
        """Experience → iterations before it."""
        starts, total = {}, 0
        for experience, length in self._lengths.items():
            starts[experience] = total
            total += length
        return starts

    @cached_property
    def _lengths(self) -> dict[int, int]:
        lengths: dict[int, int] = {}
        records: list[Any] = [*self.history.iterations, *self.history.merges]
        for record in records:
            lengths[record.experience] = max(record.iteration, lengths.get(record.experience, 0))
        return dict(sorted(lengths.items()))

    @cached_property
    def length(self) -> int:
        return sum(self._lengths.values())

    @property
    def merges(self) -> list[tuple[int, bool]]:
        """Where, and whether the weights were merged in the end."""
        return [(self.at(merge), merge.merged) for merge in self.history.merges]

    def at(self, record: Any) -> int:
        return self.starts[record.experience] + record.iteration

    def series(self, name: str, records: Sequence[Any]) -> list[Point]:
        """A number of each record; NaN where there is none, and between experiences."""
        points: list[Point] = []
        for before, record in zip([None, *records], records, strict=False):
            if before is not None and before.experience != record.experience:
                points.append((nan, nan))
            value = getattr(record, name)
            points.append((self.at(record), nan if value is None else float(value)))
        return points

    def interval(self) -> list[Point]:
        """The planned interval in force, as steps; unknown in an experience without a merge."""
        points: list[Point] = []
        for experience, start in self.starts.items():
            merges = [merge for merge in self.history.merges if merge.experience == experience]
            begin = start
            for merge in merges:
                points += _step(begin, self.at(merge), merge.interval)
                begin = self.at(merge)
            if merges:
                points += _step(begin, start + self._lengths[experience], merges[-1].next_interval)
            points.append((nan, nan))
        return points


def _step(begin: int, end: int, value: int | None) -> list[Point]:
    height = nan if value is None else float(value)
    return [(begin, height), (end, height)]


def _losses(line: _Timeline, x: Scale) -> str:
    names = ("training_loss", "historical_loss", "threshold")
    series = {name: line.series(name, line.history.iterations) for name in names}
    heights = [y for points in series.values() for _, y in points if isfinite(y)]
    frame = Frame(x, spanned(heights, *LOSSES))
    drawn = "".join(_curve(frame, thinned_around_gaps(points), name.split("_")[0]) for name, points in series.items())
    active = [(line.at(r), r.historical_loss) for r in line.history.iterations if r.active]
    dots = "".join(tag("circle", cx=x(i), cy=frame.y(loss), r=3.0, class_="dot active") for i, loss in active
                   if isfinite(loss))  # fmt: skip
    return frame.axes(y_label="loss", x_ticks=()) + drawn + dots


def _activations(line: _Timeline, x: Scale) -> str:
    """The forgetting signal: activations since the previous merge."""
    merges, points, count = {place for place, _ in line.merges}, [], 0
    for before, record in zip([None, *line.history.iterations], line.history.iterations, strict=False):
        if before is not None and (before.experience != record.experience or line.at(before) in merges):
            count = 0
            points.append((nan, nan))
        count += record.active
        points.append((float(line.at(record)), float(count)))
    frame = Frame(x, Scale(0, max([3.0, *(y for _, y in points if isfinite(y))]), *ACTIVATIONS))
    return frame.axes(y_label="activations since the merge (forgetting signal)", x_ticks=()) + _curve(
        frame, thinned_around_gaps(points), "active"
    )


def _learning(line: _Timeline, x: Scale) -> str:
    points = line.series("learning_signal", line.history.merges)
    signals = [point for point in points if isfinite(point[1])]
    frame = Frame(x, spanned([y for _, y in signals], *LEARNING))
    dots = "".join(tag("circle", cx=x(i), cy=frame.y(y), r=3.0, class_="dot learning") for i, y in signals)
    return frame.axes(y_label="learning signal Λ at each merge", x_ticks=()) + _curve(frame, points, "learning") + dots


def _interval(line: _Timeline, x: Scale) -> str:
    points = line.interval()
    longest = max([1.0, *(y for _, y in points if isfinite(y))])
    frame = Frame(x, Scale(0, longest * 1.15, *INTERVAL))
    name = "planned interval, iterations"
    if not any(isfinite(y) for _, y in points):
        name += " (none planned, or no merge to record it)"
    return frame.axes("iteration, over all tasks with a memory", name) + _curve(frame, points, "interval")


def _curve(frame: Frame, points: Iterable[Point], css: str) -> str:
    return polyline([(frame.x(x), frame.y(y)) for x, y in points], class_=f"line {css}")


def thinned_around_gaps(points: Sequence[Point]) -> list[Point]:
    """Thin a line whose gaps (NaN) must stay.

    :param points: x and y.
    """
    pieces: list[list[Point]] = [[]]
    for point in points:
        pieces[-1].append(point) if isfinite(point[1]) else pieces.append([])
    most = max(2, 600 // len(pieces))
    return [point for piece in pieces for point in (*thinned(piece, most), (nan, nan))]


def _vertical(x: float, css: str) -> str:
    """A line through all panels, but not through what stands between them."""
    path = "".join(f"M{x:.1f} {bottom}V{top}" for bottom, top in PANELS)
    return tag("path", d=path, class_=css)


def _tasks(line: _Timeline, x: Scale, tasks: Sequence[str]) -> str:
    parts = []
    for experience, start in line.starts.items():
        name = tasks[experience] if experience < len(tasks) else f"experience {experience}"
        room = int((x(line._lengths[experience]) - x(0)) / 7)
        parts.append(_vertical(x(start), "border"))
        parts.append(label(shorten(name, max(room, 2)), x(start) + 4, 16, class_="title"))
    return "".join(parts)


def _description(result: Result, line: _Timeline) -> str:
    intervals = [y for _, y in line.interval() if isfinite(y)]
    planned = f", planned interval {min(intervals):.0f} to {max(intervals):.0f}" if intervals else ""
    activations = sum(record.active for record in line.history.iterations)
    return (f"Signals of {result.strategy}, order {result.order}, seed {result.seed}: {len(line.merges)} merges and "
            f"{activations} activations in {line.length} iterations{planned}.")  # fmt: skip
