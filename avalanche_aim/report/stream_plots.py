"""R over the stream: a heat map a strategy, and the score of each task as the stream goes on."""

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from ..evaluation.transfer import Matrix, result_matrix
from .content import Report
from .palette import Look, looks
from .svg import Frame, Scale, figure, label, polyline, shorten, tag
from .table import cell

VIRIDIS = ("440154", "482878", "3e4989", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725")
NUMBERED = 8
"""Up to so many tasks the cells have room for their numbers."""


def mean_matrices(report: Report, order: str) -> dict[str, Matrix]:
    """Return R of each strategy, the mean over seeds, NaN where nothing was measured.

    :param report: its content.
    :param order: of the stream.
    """
    runs = {name: report.runs(name, order) for name in report.strategies}
    return {name: np.mean([result_matrix(run.r) for run in found], axis=0) for name, found in runs.items() if found}


def tasks_of(report: Report, order: str) -> list[str]:
    """Return the tasks of an order, in its sequence.

    :param report: its content.
    :param order: of the stream.
    """
    return next(result.tasks for result in report.results if result.order == order)


def heat_maps(report: Report, order: str) -> list[str]:
    """Return R of each strategy as a heat map, rows after training on a task, columns evaluated on one.

    :param report: its content.
    :param order: of the stream.
    """
    tasks = tasks_of(report, order)
    return [_heat_map(name, r, tasks) for name, r in mean_matrices(report, order).items()]


def scale_bar() -> str:
    """Return the legend of the heat maps."""
    steps = "".join(tag("rect", x=4 + 2.4 * k, y=4, width=2.9, height=12, fill=colour(k)) for k in range(101))
    marks = "".join(label(str(k), 4 + 2.4 * k, 30, text_anchor="middle", class_="tick") for k in (10, 50, 90))
    return figure("Colour scale of the heat maps, dark for 0 and bright for 100 percent.", 252, 34, steps, marks)


def colour(score: float) -> str:
    """Return the colour of a score, dark to bright.

    :param score: 0 to 100.
    """
    place = min(max(score, 0.0), 100.0) / 100 * (len(VIRIDIS) - 1)
    low = min(int(place), len(VIRIDIS) - 2)
    pairs = zip(*(bytes.fromhex(stop) for stop in VIRIDIS[low : low + 2]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * (place - low)):02x}" for a, b in pairs)


def _heat_map(name: str, r: Matrix, tasks: Sequence[str]) -> str:
    size, left, top = (34 if len(tasks) <= NUMBERED else 16), 104, 40
    parts = [label(name, left, 14, class_="title")]
    for k, task in enumerate(tasks):
        middle = size * k + size / 2
        parts.append(label(str(k + 1), left + middle, top - 6, text_anchor="middle", class_="tick"))
        row = f"{shorten(task, 13)} {k + 1}"
        parts.append(label(row, left - 6, top + middle + 4, text_anchor="end", class_="tick"))
    parts.append(tag("rect", x=left - 1, y=top - 1, width=size * len(tasks) + 1, height=size * len(tasks) + 1,
                     class_="empty"))  # fmt: skip
    parts += [_square(r[i, j], tasks[i], tasks[j], left + size * j, top + size * i, size)
              for i in range(len(tasks)) for j in range(len(tasks))]  # fmt: skip
    parts.append(label("evaluated on", left - 6, top - 6, text_anchor="end", class_="tick"))
    final = r[-1][np.isfinite(r[-1])]
    description = f"Heat map of R of {name}: {len(tasks)} tasks; mean of the last row {cell(float(final.mean()))} %."
    return figure(description, left + size * len(tasks) + 4, top + size * len(tasks) + 4, *parts)


def _square(score: float, after: str, on: str, x: float, y: float, size: int) -> str:
    if not np.isfinite(score):
        return ""
    tip = tag("title", escape(f"after {after}, on {on}: {score:.1f}"))
    square = tag("rect", tip, x=x, y=y, width=size - 1, height=size - 1, fill=colour(score))
    if size < 30:
        return square
    ink = "on-bright" if _luminance(colour(score)) > 0.18 else "on-dark"  # the ink with the higher contrast
    return square + label(f"{score:.0f}", x + (size - 1) / 2, y + size / 2 + 4, text_anchor="middle", class_=ink)


def _luminance(css: str) -> float:
    """Relative luminance as WCAG defines it, 0 to 1."""
    parts = (part / 255 for part in bytes.fromhex(css[1:]))
    linear = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def task_plots(report: Report, order: str) -> list[str]:
    """Return a plot for each task: its score from its own training to the end of the stream, one line a strategy.

    :param report: its content.
    :param order: of the stream.
    """
    matrices, looked, tasks = mean_matrices(report, order), looks(report), tasks_of(report, order)
    scores = np.concatenate([r[np.isfinite(r)] for r in matrices.values()])
    low, high = math.floor(scores.min() / 10) * 10, math.ceil(scores.max() / 10) * 10
    frame = Frame(Scale(0.7, len(tasks) + 0.3, 32, 250), Scale(low, max(high, low + 10), 178, 26))
    return [_task_plot(number, task, matrices, looked, frame) for number, task in enumerate(tasks)]


def _task_plot(task: int, name: str, matrices: dict[str, Matrix], looked: dict[str, Look], frame: Frame) -> str:
    steps = len(next(iter(matrices.values())))
    marks = [k for k in range(1, steps + 1) if steps <= NUMBERED or k % 5 == 0 or k == 1]
    # Grey first, the coloured on top of it, the best of them last.
    ordered = sorted(reversed(list(matrices)), key=lambda strategy: looked[strategy].emphasised)
    lines = "".join(_line(frame, strategy, list(matrices[strategy][:, task]), looked[strategy]) for strategy in ordered)
    description = f"Lines of the score on {name}, task {task + 1}, from its training on; {_ends(matrices, task)}."
    heading = label(f"{task + 1}  {shorten(name, 28)}", 8, 14, class_="title")
    return figure(description, 258, 200, heading, frame.axes(x_ticks=marks), lines)


def _line(frame: Frame, strategy: str, scores: Sequence[float], look: Look) -> str:
    points = [(frame.x(i + 1), frame.y(float(score))) for i, score in enumerate(scores) if np.isfinite(score)]
    tip = tag("title", escape(f"{strategy}: {', '.join(f'{s:.0f}' for s in scores if np.isfinite(s))}"))
    dots = "".join(tag("circle", cx=x, cy=y, r=2.0, class_=f"dot {look.css}") for x, y in points
                   if look.emphasised or len(points) == 1)  # fmt: skip
    lines = polyline(points, class_=f"line {look.css}", stroke_dasharray=look.dashes)
    return tag("g", tip, lines, dots)


def _ends(matrices: dict[str, Matrix], task: int) -> str:
    final = {name: float(r[-1, task]) for name, r in matrices.items()}
    best = max(final, key=lambda name: final[name])
    return f"at the end {best} has {cell(final[best])} percent and the lowest has {cell(min(final.values()))}"
