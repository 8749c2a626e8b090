"""The signals of a run with its merges and its interval, on one axis of iterations."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

from ..experiments.result import Result
from ..merging.history import History
from .drawing import Plot, mark_tasks, swatch
from .palette import light

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEGEND = {
    "training loss": swatch("-", colour="muted", width=1), "historical loss": swatch("-", colour="blue"),
    "forgetting threshold": swatch("--", colour="vermilion"), "activation": swatch(marker="o", colour="vermilion"),
    "learning signal Λ": swatch("-", "o", "ochre"), "planned interval": swatch("-", colour="purple"),
    "merge": swatch("|", colour="green", width=1.2),
}  # fmt: skip
Piece = list[tuple[float, float]]
"""A part of a line without a gap."""


@dataclass(frozen=True)
class Timeline:
    """The experiences of a history one after another, each as long as it was monitored."""

    history: History

    @cached_property
    def lengths(self) -> dict[int, int]:
        """Experience → its last iteration with a record."""
        lengths: dict[int, int] = {}
        records: list[Any] = [*self.history.iterations, *self.history.merges]
        for record in records:
            lengths[record.experience] = max(record.iteration, lengths.get(record.experience, 0))
        return dict(sorted(lengths.items()))

    @cached_property
    def starts(self) -> dict[int, int]:
        """Experience → iterations before it."""
        return {k: sum(n for other, n in self.lengths.items() if other < k) for k in self.lengths}

    def at(self, record: Any) -> int:
        """Return where a record stands."""
        return self.starts[record.experience] + record.iteration

    def series(self, name: str, records: Sequence[Any]) -> list[Piece]:
        """Return a number of each record, a piece for each experience; NaN where there is none."""
        values = ((record, getattr(record, name)) for record in records)
        points = ((r.experience, (self.at(r), nan if value is None else float(value))) for r, value in values)
        return [[point for _, point in piece] for _, piece in groupby(points, key=lambda pair: pair[0])]

    @cached_property
    def intervals(self) -> list[Piece]:
        """The planned interval, while it was in force; it is not known in an experience without a merge."""
        pieces: list[Piece] = []
        for experience, group in groupby(self.history.merges, key=lambda merge: merge.experience):
            merges, start = list(group), self.starts[experience]
            ends = [start, *map(self.at, merges), start + self.lengths[experience]]
            planned = [*(merge.interval for merge in merges), merges[-1].next_interval]
            pieces += [[(begin, height), (end, height)] for begin, end, height in zip(ends, ends[1:], planned,
                       strict=False) if height is not None]  # fmt: skip
        return pieces


def signal_plot(result: Result) -> Plot:
    """Return the plot of a run that merges: learning signal, interval, and losses and activations if monitored."""
    assert result.history is not None  # callers choose such runs
    line = Timeline(result.history)
    length = sum(line.lengths.values())
    monitored, planned = bool(line.history.iterations), bool(line.intervals)
    panels = {
        **({draw_losses: 3, draw_activations: 1} if monitored else {}),
        draw_learning: 1,
        **({draw_interval: 1} if planned else {}),
    }  # how high each is, beside the others

    def draw(figure: Any) -> None:
        heights = list(panels.values())
        axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
        axes[0].set_xlim(0, length + 1)
        for axis, panel in zip(axes, panels, strict=True):
            panel(axis, line)
            draw_merges(axis, line)
        names = [result.tasks[k] if k < len(result.tasks) else f"experience {k}" for k in line.starts]
        mark_tasks(axes[0], list(line.starts.values()), names)
        axes[-1].set_xlabel("iteration, over all tasks with merges")

    activations = sum(record.active for record in result.history.iterations)
    words = f"Signals of {result.key}: {result.merges} merges and {activations} activations in {length} iterations."
    return Plot(words, 920, 170 + 65 * sum(panels.values()), draw)


def draw_losses(axis: "Axes", line: Timeline) -> None:
    """Draw training and historical loss with the threshold; the losses alone choose the scale."""
    records = line.history.iterations
    training, historical, threshold = (
        line.series(name, records) for name in ("training_loss", "historical_loss", "threshold")
    )
    _draw(axis, training, color=light("muted"), lw=0.8, alpha=0.6, label="training loss")
    _draw(axis, historical, color=light("blue"), label="historical loss")
    low, high = axis.get_ylim()
    beyond = max(_heights(threshold), default=high)
    if beyond > high:
        axis.annotate(f"threshold up to {beyond:.3g} ↑", (1, 1), xycoords="axes fraction", ha="right", va="top",
                      color=light("vermilion"), xytext=(-2, -2), textcoords="offset points")  # fmt: skip
    _draw(axis, threshold, "--", color=light("vermilion"), lw=1.2, label="forgetting threshold")
    axis.set_ylim(low, high)
    active: Piece = [(line.at(r), r.historical_loss) for r in records if r.active]
    _draw(axis, [active], "o", color=light("vermilion"), ms=4, label="activation")
    axis.set_ylabel("loss")


def draw_activations(axis: "Axes", line: Timeline) -> None:
    """Draw the forgetting signal: activations since the previous merge."""
    merges = {line.at(merge) for merge in line.history.merges}
    pieces: list[Piece] = []
    for record in line.history.iterations:
        place = line.at(record)
        if record.iteration == 1 or place - 1 in merges or not pieces:
            pieces.append([(float(place - 1), 0.0)])
        pieces[-1].append((place, pieces[-1][-1][1] + record.active))
    _draw(axis, pieces, color=light("vermilion"), lw=1.2, drawstyle="steps-post")
    axis.set_ylim(0, max([3.0, *_heights(pieces)]) * 1.1)
    axis.set_ylabel("activations\nsince merge")


def draw_learning(axis: "Axes", line: Timeline) -> None:
    """Draw the learning signal at each merge."""
    pieces = line.series("learning_signal", line.history.merges)
    _draw(axis, pieces, "o-", color=light("ochre"), lw=1.2, ms=4, label="learning signal Λ")
    axis.set_ylabel("learning\nsignal Λ")
    if not line.history.merges:
        axis.set_yticks([])
        axis.text(0.5, 0.5, "never merged", transform=axis.transAxes, ha="center", va="center", color=light("muted"))


def draw_interval(axis: "Axes", line: Timeline) -> None:
    """Draw the planned interval in force, as steps."""
    _draw(axis, line.intervals, color=light("purple"), label="planned interval")
    axis.set_ylim(0, max([1.0, *_heights(line.intervals)]) * 1.15)
    axis.set_ylabel("planned\ninterval")


def draw_merges(axis: "Axes", line: Timeline) -> None:
    """Draw an upright line for each merge, dotted where it was given up."""
    for merged, style in ((True, "-"), (False, ":")):
        places = [line.at(merge) for merge in line.history.merges if merge.merged == merged]
        _draw(axis, [[(place, 0), (place, 1)] for place in places], style, color=light("green"), lw=0.9, alpha=0.7,
              transform=axis.get_xaxis_transform(), scalex=False, scaley=False)  # fmt: skip


def _draw(axis: "Axes", pieces: Iterable[Piece], style: str = "-", **looks: Any) -> None:
    """Draw one line with a gap after each piece."""
    points = [point for piece in pieces for point in (*piece, (nan, nan))]
    if points:
        axis.plot(*zip(*points, strict=True), style, **looks)


def _heights(pieces: Iterable[Piece]) -> list[float]:
    return [y for piece in pieces for _, y in piece if isfinite(y)]
