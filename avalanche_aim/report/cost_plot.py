"""Cost against OP."""

from collections.abc import Mapping, Sequence
from typing import Any

from .content import Report
from .drawing import Plot, shorten, tip
from .palette import light, look
from .quantities import MINUTES, OP, Quantity
from .statistics import Spread

ROW = 15.0
"""Pixels between two names."""
PASSES = Quantity(
    "passes in all", "", "passes with and without gradient", 2,
    lambda result: result.cost.gradient_passes + result.cost.other_passes,
)  # fmt: skip


def cost_plots(report: Report) -> list[Plot]:
    """Return OP against minutes and against passes through the model, a point for each strategy."""
    return [_plot(report, MINUTES, "minutes of training and evaluation"),
            _plot(report, PASSES, "passes through the model (1: plain training)")]  # fmt: skip


def _plot(report: Report, cost: Quantity, title: str) -> Plot:
    spreads = {name: (report.spread(name, cost), report.spread(name, OP)) for name in report.strategies}
    points = {name: (x, y) for name, (x, y) in spreads.items() if x is not None and y is not None}
    best = max(points, key=lambda name: points[name][1].mean)
    words = f"Scatter plot of OP against {title} for {len(points)} strategies; {best} is highest."
    height = max(300.0, 90 + ROW * len(points))
    return Plot(words, 460, height, lambda figure: _draw(figure, points, title, height))


def _draw(figure: Any, points: Mapping[str, tuple[Spread, Spread]], title: str, height: float) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    axis = figure.subplots()
    costs = [x.mean for x, _ in points.values()]
    log = min(costs) > 0 and max(costs) > 8 * min(costs)
    if log:
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(costs) < 100 * min(costs) else (1,)))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_locator(NullLocator())
    for name, (x, y) in reversed(list(points.items())):
        own = look(name)
        mark = axis.plot(x.mean, y.mean, own.marker, color=own.hex, ms=8)
        tip(mark, f"{name}: OP {y.mean:.1f}, cost {x.mean:.3g}, {y.count} runs")
        axis.errorbar(x.mean, y.mean, y.deviation, color=own.hex, lw=1.2, alpha=0.6)
    axis.margins(x=0.08, y=0.08)
    axis.set(xlabel=f"{title}, log scale" if log else title, title="OP, %")
    low, high = axis.get_ylim()
    ordered = sorted(points, key=lambda name: -points[name][1].mean)
    wanted = [(high - points[name][1].mean) / (high - low) for name in ordered]
    for name, place in zip(ordered, spaced(wanted, ROW / (height - 80)), strict=True):
        x, y = points[name]
        axis.annotate(
            shorten(name, 16), (x.mean, y.mean), xytext=(1.03, 1 - place), textcoords="axes fraction", va="center",
            color=look(name).hex, arrowprops={"arrowstyle": "-", "color": light("muted"), "lw": 0.6, "alpha": 0.6,
                                              "shrinkA": 1, "shrinkB": 5, "relpos": (0, 0.5)},
        )  # fmt: skip


def spaced(wanted: Sequence[float], gap: float) -> list[float]:
    """Return places near the wanted ones, none closer to another than the gap, from 0 to 1 where there is room.

    :param wanted: from 0 to 1, rising.
    """
    places: list[float] = []
    for number, place in enumerate(wanted):
        latest = 1 - gap * (len(wanted) - 1 - number)  # leaves room for those that follow
        places.append(max(min(place, latest), places[-1] + gap if places else 0.0))
    return places
