"""The signals of a run with its merges and its interval, on one axis of iterations."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
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
Points = tuple[list[float], list[float]]


def signal_plot(result: Result) -> Plot:
    """Return the plot of a run: losses, activations, learning signal and interval, with the merges.

    :param result: of a strategy with monitored iterations.
    """
    assert result.history is not None  # callers choose such runs
    line = Timeline(result.history)

    def draw(figure: Any) -> None:
        axes = figure.subplots(4, 1, sharex=True, height_ratios=[3, 1, 1, 1])
        axes[0].set_xlim(0, line.length + 1)
        for axis, panel in zip(axes, (draw_losses, draw_activations, draw_learning, draw_interval), strict=True):
            panel(axis, line)
            draw_merges(axis, line)
        names = [result.tasks[k] if k < len(result.tasks) else f"experience {k}" for k in line.starts]
        mark_tasks(axes[0], list(line.starts.values()), names)
        axes[-1].set_xlabel("iteration, over all monitored tasks")

    activations = sum(record.active for record in result.history.iterations)
    words = (f"Signals of {result.strategy}, order {result.order}, seed {result.seed}: {result.merges} merges and "
             f"{activations} activations in {line.length} iterations.")  # fmt: skip
    return Plot(words, 920, 560, draw)


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

    @property
    def length(self) -> int:
        """All iterations."""
        return sum(self.lengths.values())

    def at(self, record: Any) -> int:
        """Return where a record stands.

        :param record: of a merge or an iteration.
        """
        return self.starts[record.experience] + record.iteration

    def series(self, name: str, records: Sequence[Any]) -> Points:
        """Return a number of each record; NaN where there is none, and between experiences.

        :param name: of the number.
        :param records: in order of time.
        """
        x: list[float] = []
        y: list[float] = []
        for number, record in enumerate(records):
            if number and records[number - 1].experience != record.experience:
                x.append(nan)
                y.append(nan)
            value = getattr(record, name)
            x.append(self.at(record))
            y.append(nan if value is None else float(value))
        return x, y


def draw_losses(axis: "Axes", line: Timeline) -> None:
    """Draw training and historical loss with the threshold; the losses alone choose the scale.

    :param axis: where to.
    :param line: of the run.
    """
    records = line.history.iterations
    training, historical, threshold = (
        line.series(name, records) for name in ("training_loss", "historical_loss", "threshold")
    )
    axis.plot(*training, color=light("muted"), lw=0.8, alpha=0.6, label="training loss")
    axis.plot(*historical, color=light("blue"), label="historical loss")
    heights = [y for y in (*training[1], *historical[1]) if isfinite(y)]
    if heights:
        low, high = min(heights), max(heights)
        pad = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
        axis.set_ylim(low - pad, high + pad)
        beyond = max((y for y in threshold[1] if isfinite(y)), default=high)
        if beyond > high + pad:
            axis.annotate(f"threshold up to {beyond:.3g} ↑", (1, 1), xycoords="axes fraction", ha="right", va="top",
                          color=light("vermilion"), xytext=(-2, -2), textcoords="offset points")  # fmt: skip
    axis.plot(*threshold, "--", color=light("vermilion"), lw=1.2, label="forgetting threshold")
    active = [(line.at(r), r.historical_loss) for r in records if r.active]
    if active:
        axis.plot(*zip(*active, strict=True), "o", color=light("vermilion"), ms=4, label="activation")
    axis.set_ylabel("loss")


def draw_activations(axis: "Axes", line: Timeline) -> None:
    """Draw the forgetting signal: activations since the previous merge.

    :param axis: where to.
    :param line: of the run.
    """
    merges, count, previous = {line.at(merge) for merge in line.history.merges}, 0, None
    x: list[float] = []
    y: list[float] = []
    for record in line.history.iterations:
        if previous is not None and (previous.experience != record.experience or line.at(previous) in merges):
            count = 0
            x.append(nan)
            y.append(nan)
        count += record.active
        x.append(line.at(record))
        y.append(count)
        previous = record
    axis.plot(x, y, color=light("vermilion"), lw=1.2)
    axis.set_ylim(0, max([3.0, *(value for value in y if isfinite(value))]) * 1.1)
    axis.set_ylabel("activations\nsince merge")


def draw_learning(axis: "Axes", line: Timeline) -> None:
    """Draw the learning signal at each merge.

    :param axis: where to.
    :param line: of the run.
    """
    axis.plot(*line.series("learning_signal", line.history.merges), "o-", color=light("ochre"), lw=1.2, ms=4)
    axis.set_ylabel("learning\nsignal Λ")
    if not line.history.merges:
        axis.set_yticks([])
        axis.text(0.5, 0.5, "never merged", transform=axis.transAxes, ha="center", va="center", color=light("muted"))


def draw_interval(axis: "Axes", line: Timeline) -> None:
    """Draw the planned interval in force, as steps; it is not known in an experience without a merge.

    :param axis: where to.
    :param line: of the run.
    """
    x: list[float] = []
    y: list[float] = []
    for experience, start in line.starts.items():
        merges = [merge for merge in line.history.merges if merge.experience == experience]
        begin = float(start)
        for merge in merges:
            x += [begin, line.at(merge), nan]
            y += [nan if merge.interval is None else merge.interval] * 2 + [nan]
            begin = line.at(merge)
        if merges:
            x += [begin, start + line.lengths[experience], nan]
            y += [nan if merges[-1].next_interval is None else merges[-1].next_interval] * 2 + [nan]
    planned = [value for value in y if isfinite(value)]
    axis.plot(x, y, color=light("purple"))
    axis.set_ylim(0, max([1.0, *planned]) * 1.15)
    axis.set_ylabel("planned\ninterval")
    if not planned:
        axis.text(0.5, 0.5, "none planned", transform=axis.transAxes, ha="center", va="center", color=light("muted"))


def draw_merges(axis: "Axes", line: Timeline) -> None:
    """Draw an upright line for each merge, dotted where it was given up.

    :param axis: where to.
    :param line: of the run.
    """
    for merged, style in ((True, "-"), (False, ":")):
        places = [line.at(merge) for merge in line.history.merges if merge.merged == merged]
        if places:
            x = [value for place in places for value in (place, place, nan)]
            axis.plot(x, [0, 1, nan] * len(places), style, color=light("green"), lw=0.9, alpha=0.7,
                      transform=axis.get_xaxis_transform(), scalex=False, scaley=False)  # fmt: skip
