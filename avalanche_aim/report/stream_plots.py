"""Scores as the stream goes on: their mean, what is forgotten, each task by itself, and R as a heat map."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..evaluation.transfer import Matrix, forgetting, result_matrix
from ..experiments.result import Result
from .content import Report
from .drawing import Plot, shorten, tip
from .palette import light, look
from .quantities import task_score

NAMED = 6
"""Up to so many tasks stand by name on the horizontal axis, more by number."""
FEW_LINES = 8
"""With more strategies, those of lower mean OP are drawn fainter."""
Curve = list[float]


def mean_curve(r: Matrix) -> Curve:
    """Return the mean score over the tasks trained on so far, after each task; NaN where one was not measured.

    :param r: shape (T, T).
    """
    return [float(r[i, : i + 1].mean()) for i in range(len(r))]


def forgetting_curve(r: Matrix) -> Curve:
    """Return the metric Forgetting after each task; NaN after the first, and where it was not measured.

    :param r: shape (T, T).
    """
    seen = (r[:i, :i] for i in range(1, len(r) + 1))
    return [forgetting(part) if np.isfinite([*part[-1], *np.diag(part)]).all() else np.nan for part in seen]


def overview_plots(report: Report, order: str) -> list[Plot]:
    """Return the mean score and the forgetting over the stream: a line for each strategy, a point for each seed."""
    tasks, plots = report.tasks_of(order), []
    for title, unit, curve in (("Mean score of the tasks so far", "%", mean_curve),
                               ("Forgetting of the tasks so far", "points", forgetting_curve)):  # fmt: skip
        curves = {name: np.array([curve(result_matrix(run.r)) for run in report.runs(name, order)])
                  for name in report.strategies}  # fmt: skip
        curves = {name: values for name, values in curves.items() if np.isfinite(values).any()}
        if curves:
            ends = {name: values[:, -1].mean() for name, values in curves.items()}
            words = ", ".join(f"{name} {end:.1f}" for name, end in ends.items())
            plots.append(Plot(f"{title}, order {order}; at the end: {words}.", 440, 300,
                              _overview(curves, title, unit, tasks)))  # fmt: skip
    return plots


def _overview(curves: Mapping[str, Any], title: str, unit: str, tasks: Sequence[str]) -> Any:
    def draw(figure: Any) -> None:
        axis = figure.subplots()
        steps = np.arange(1, len(tasks) + 1)
        for rank, (name, values) in reversed(list(enumerate(curves.items()))):
            own, faint = look(name), 0.35 if rank >= FEW_LINES else 1.0
            mean = values.mean(axis=0)
            words = f"{name}: {', '.join(f'{v:.1f}' for v in mean if np.isfinite(v))}"
            lines = axis.plot(steps, mean, color=own.hex, marker=own.marker, alpha=faint)
            for seed in values if len(values) > 1 else ():
                lines += axis.plot(steps, seed, own.marker, color=own.hex, ms=3, alpha=0.5 * faint)
            tip(lines, words)
        named = len(tasks) <= NAMED
        room = 60 // len(tasks)
        axis.set_xticks(steps, [shorten(t, room) for t in tasks] if named else steps, size=10 if named else 9)
        axis.set(title=f"{title}, {unit}", xlim=(0.7, len(tasks) + 0.3))
        axis.set_xlabel("after training on" if named else "after training on task number")

    return draw


def task_plots(report: Report, order: str) -> list[Plot]:
    """Return a plot for each task: its score from its own training to the end, a line for each strategy."""
    matrices = {name: np.mean([result_matrix(run.r) for run in runs], axis=0)
                for name in report.strategies if (runs := report.runs(name, order))}  # fmt: skip
    scores = np.concatenate([r[np.isfinite(r)] for r in matrices.values()])
    low = np.floor(scores.min() / 10) * 10
    limits = (low - 2, max(np.ceil(scores.max() / 10) * 10, low + 10) + 2)
    return [_task_plot(number, task, matrices, limits) for number, task in enumerate(report.tasks_of(order))]


def _task_plot(task: int, name: str, matrices: Mapping[str, Matrix], limits: tuple[float, float]) -> Plot:
    def draw(figure: Any) -> None:
        axis = figure.subplots()
        for rank, (strategy, r) in reversed(list(enumerate(matrices.items()))):
            own, scores = look(strategy), r[:, task]
            lines = axis.plot(np.arange(1, len(r) + 1), scores, color=own.hex, marker=own.marker, ms=4,
                              alpha=0.35 if rank >= FEW_LINES else 1.0)  # fmt: skip
            tip(lines, f"{strategy}: {', '.join(f'{score:.0f}' for score in scores if np.isfinite(score))}")
        axis.set(title=f"{task + 1}  {shorten(name, 26)}", xlim=(0.7, steps + 0.3), ylim=limits)
        axis.xaxis.get_major_locator().set_params(integer=True)

    steps = len(next(iter(matrices.values())))
    final = {strategy: float(r[-1, task]) for strategy, r in matrices.items()}
    best = max(final, key=lambda strategy: final[strategy])
    words = (f"Lines of the score on {name}, task {task + 1}, from its training on; at the end {best} has "
             f"{final[best]:.1f} percent and the lowest has {min(final.values()):.1f}.")  # fmt: skip
    return Plot(words, 270, 200, draw)


def task_bars(report: Report) -> list[Plot]:
    """Return a plot for each task: its score after the last task, a bar for each strategy and a point for each run."""
    return [_bars(report, task) for task in report.tasks]


def _bars(report: Report, task: str) -> Plot:
    names, quantity = report.strategies, task_score(task)
    values = {name: list(report.values(name, quantity).values()) for name in names}

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        for place, name in enumerate(names):
            own, scores = look(name), values[name]
            if scores:
                tip(axis.barh(place, np.mean(scores), color=own.hex, alpha=0.45, height=0.7),
                    f"{name}: {np.mean(scores):.1f}")  # fmt: skip
                axis.plot(scores, [place] * len(scores), own.marker, color=own.hex, ms=4)
        axis.set(title=report.counted(task), xlim=(0, 100), ylim=(len(names) - 0.4, -0.6))
        axis.set_yticks(range(len(names)), [shorten(name, 18) for name in names], color=light("ink"))
        axis.tick_params(axis="y", length=0)
        axis.grid(axis="y", visible=False)

    words = ", ".join(f"{name} {np.mean(scores):.1f}" for name, scores in values.items() if scores)
    return Plot(f"Bars of the final score on {task} in percent: {words}.", 300, 62 + 19 * len(names), draw)


def heat_map(name: str, runs: Sequence[Result]) -> Plot:
    """Return R as a heat map, mean over runs: rows after training on a task, columns evaluated on one.

    :param runs: of one order.
    """
    tasks, r = runs[0].tasks, np.mean([result_matrix(run.r) for run in runs], axis=0)
    cell, small = (34, 11) if len(tasks) <= 8 else (18, 8)

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        image = axis.imshow(r, vmin=0, vmax=100, cmap="viridis", interpolation="none")
        for i, j in np.argwhere(np.isfinite(r)):
            ink = "#000000" if _luminance(image.to_rgba(r[i, j])) > 0.18 else "#ffffff"  # the higher contrast
            axis.text(j, i, f"{r[i, j]:.0f}", ha="center", va="center", color=ink, size=small)
        axis.set_xticks(range(len(tasks)), range(1, len(tasks) + 1))
        axis.set_yticks(range(len(tasks)), [f"{shorten(task, 13)} {k}" for k, task in enumerate(tasks, 1)])
        axis.tick_params(length=0)
        axis.grid(visible=False)
        axis.spines[:].set_visible(False)
        axis.set_title(shorten(name, 24))
        axis.set_xlabel("evaluated on")

    final = r[-1][np.isfinite(r[-1])].mean()
    size = cell * len(tasks)
    words = f"Heat map of R of {name}: {len(tasks)} tasks; mean of the last row {final:.1f} percent."
    return Plot(words, size + 120, size + 64, draw)


def _luminance(rgba: Sequence[float]) -> float:
    """Relative luminance as WCAG defines it, 0 to 1."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgba[:3]]
    return float(np.dot((0.2126, 0.7152, 0.0722), linear))
