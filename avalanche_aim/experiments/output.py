"""Results on disk: written after every run, so that nothing finished is lost."""

import csv
import importlib.util
import json
import math
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..evaluation import DEFINITIONS
from .plots import plot_results, plot_signals
from .runner import Result
from .versions import versions

SCORE = (
    "mean over a task's examples of the greedy answer's score by the task's own metric, in percent: exact match, or "
    "ROUGE-L (F-measure, stemmed) for open tasks that name it"
)


def write_results(results: Sequence[Result], folder: Path, configuration: dict[str, Any]) -> None:
    """Write ``results.json``, and for each run R as CSV and the history as JSON and CSV.

    :param results: all finished runs; files of earlier ones are written again.
    :param folder: created if need be.
    :param configuration: what was asked for, stored with the results.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for result in results:
        stem = f"{result.strategy}_seed{result.seed}"
        _write_matrix(result, folder / f"R_{stem}.csv")
        if result.history is not None:
            result.history.write(folder, f"history_{stem}")
    content = {
        "configuration": configuration,
        "definitions": {**DEFINITIONS, "score": SCORE},
        "versions": versions(),
        "machine": f"{platform.platform()}, Python {platform.python_version()}",
        "single_task": _single_task(results),
        "runs": [_plain(result) for result in results],
    }
    partial = folder / "results.json.partial"
    partial.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(folder / "results.json")


def draw_results(results: Sequence[Result], folder: Path) -> list[Path]:
    """Write the plots: R of the first seed's runs, and the signals of each AIM run.

    :param results: the finished runs.
    :param folder: where to.
    :return: the files; none where matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return []
    first = results[0].seed
    files = [folder / "R.png"]
    plot_results([result for result in results if result.seed == first], files[0])
    for result in results:
        if result.history is not None and result.history.iterations:
            files.append(folder / f"signals_{result.strategy}_seed{result.seed}.png")
            plot_signals(result.history, files[-1], f"{result.strategy}, seed {result.seed}", result.tasks)
    return files


def _write_matrix(result: Result, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["after training on", *result.tasks])
        for task, row in zip(result.tasks, result.r, strict=True):
            writer.writerow([task, *("" if score is None else score for score in row)])


def _single_task(results: Sequence[Result]) -> dict[str, dict[str, float]]:
    """The references of FWT: for each seed the score of each task trained on alone."""
    seeds = {result.seed: result for result in results if result.single is not None}
    return {str(seed): dict(zip(run.tasks, run.single or [], strict=True)) for seed, run in seeds.items()}


def _plain(result: Result) -> dict[str, Any]:
    """A run as plain data; its history and the single-task scores are written elsewhere."""
    data = {key: value for key, value in asdict(result).items() if key not in ("history", "single")}
    data["metrics"] = {name: value if math.isfinite(value) else None for name, value in result.metrics.items()}
    return data
