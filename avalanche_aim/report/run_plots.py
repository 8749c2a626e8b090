"""Plots of a run: the signals with the merges, and R as a heat map."""

import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..experiments.result import Result
from ..merging import History
from ..storage.files import write_atomically


def draw_results(results: Sequence[Result], folder: Path) -> list[Path]:
    """Write the plots: R of the first order and seed, and the signals of each AIM run.

    :param results: the finished runs.
    :param folder: where to.
    :return: the files; none where matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return []
    first = results[0]
    files = [folder / "R.png"]
    plot_results([r for r in results if (r.order, r.seed) == (first.order, first.seed)], files[0])
    for result in results:
        if result.history is not None and result.history.iterations:
            files.append(folder / f"signals_{result.key.stem}.png")
            plot_signals(result.history, files[-1], f"{result.strategy}, seed {result.seed}", result.tasks)
    return files


def plot_signals(history: History, path: Path, title: str = "", tasks: Sequence[str] = ()) -> None:
    """Draw training loss, historical loss, threshold, merges, interval and learning signal over iterations.

    Experiences follow one another on the iteration axis; the first has no memory and is not monitored.

    :param history: of an AIM run with at least one monitored iteration.
    :param path: the PNG to write.
    :param title: over the plot.
    :param tasks: the names of the experiences.
    """
    from matplotlib.figure import Figure

    offsets, start = {}, 0
    records = [*history.iterations, *history.merges]
    for experience in sorted({record.experience for record in records}):
        offsets[experience] = start
        start += max(record.iteration for record in records if record.experience == experience)
    x = [offsets[r.experience] + r.iteration for r in history.iterations]
    at = [offsets[m.experience] + m.iteration for m in history.merges]
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    losses, intervals, movement = figure.subplots(3, 1, sharex=True, height_ratios=[3, 1, 1])

    losses.plot(x, [r.training_loss for r in history.iterations], color="0.75", lw=1, label="training loss")
    losses.plot(x, [r.historical_loss for r in history.iterations], color="C0", lw=1.2, label="historical loss")
    thresholds = [float("nan") if r.threshold is None else r.threshold for r in history.iterations]
    losses.plot(x, thresholds, color="C3", lw=1.2, ls="--", label="forgetting threshold")
    active = [(i, r.historical_loss) for i, r in zip(x, history.iterations, strict=True) if r.active]
    if active:
        losses.scatter(*zip(*active, strict=True), color="C3", s=22, zorder=3, label="activation")
    for number, place in enumerate(at):
        for axis in (losses, intervals, movement):
            label = "merge" if number == 0 and axis is losses else None
            axis.axvline(place, color="C2", lw=0.8, alpha=0.6, label=label)
    losses.set_ylabel("loss")
    losses.set_title(title)
    figure.legend(*losses.get_legend_handles_labels(), loc="outside lower center", fontsize=9, ncols=5)

    intervals.step(at, [m.elapsed for m in history.merges], where="pre", color="C4", marker="o", ms=3)
    intervals.set_ylabel("iterations\nsince merge")
    movement.plot(at, [m.learning_signal for m in history.merges], color="C1", marker="o", ms=3)
    movement.set_ylabel("learning\nsignal Λ")
    movement.set_xlabel("monitored iteration")
    for experience, begin in offsets.items():
        name = tasks[experience] if experience < len(tasks) else f"experience {experience}"
        losses.axvline(begin, color="0.4", lw=1, ls=":")
        losses.annotate(name, (begin, 1), xycoords=("data", "axes fraction"), fontsize=9, va="top", xytext=(3, -3),
                        textcoords="offset points")  # fmt: skip
    _write(figure, path)


def plot_results(results: Sequence[Result], path: Path) -> None:
    """Draw R of each run as a heat map, side by side.

    :param results: runs over the same tasks.
    :param path: the PNG to write.
    """
    from matplotlib.figure import Figure

    tasks = results[0].tasks
    size = (1.2 + (0.7 * len(tasks) + 0.8) * len(results), 1.6 + 0.7 * len(tasks))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, len(results), squeeze=False)[0]
    for axis, result in zip(axes, results, strict=True):
        values = [[float("nan")] * len(tasks) for _ in tasks]
        for i, row in enumerate(result.r):
            for j, score in enumerate(row[: len(tasks)]):
                if score is not None:
                    values[i][j] = score
                    color = "white" if score < 60 else "black"
                    axis.text(j, i, f"{score:.0f}", ha="center", va="center", color=color, fontsize=9)
        image = axis.imshow(values, vmin=0, vmax=100, cmap="viridis")
        axis.set_xticks(range(len(tasks)), tasks, rotation=45, ha="right")
        axis.set_yticks(range(len(tasks)), tasks)
        numbers = ", ".join(f"{key} {result.metrics[key]:.1f}" for key in ("OP", "BWT") if key in result.metrics)
        axis.set_title(f"{result.strategy}\n{numbers}", fontsize=10)
        axis.set_xlabel("evaluated on")
    axes[0].set_ylabel("after training on")
    figure.colorbar(image, ax=list(axes), label="score, %", shrink=0.8)
    _write(figure, path)


def _write(figure: Any, path: Path) -> None:
    content = io.BytesIO()
    figure.savefig(content, dpi=110, format="png")
    write_atomically(path, content.getvalue())
