"""Made-up comparisons on disk, written as real ones are."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from avalanche_aim.experiments import Configuration, Cost, Failure, Result, RunStore
from avalanche_aim.merging import (
    PRESETS,
    Finding,
    History,
    MergeRecord,
)
from avalanche_aim.merging.history import MonitorRecord

TASKS = ("entities", "reviews", "questions", "news")
LEVELS = {
    "naive": (52.0, 14.0),
    "replay": (64.0, 7.0),
    "aim": (67.0, 5.0),
    "aim-replay": (70.0, 4.0),
    "joint": (76.0, 0.0),
}
"""Strategy → score right after training on a task, and what each later task takes away."""


FOUND = (Finding("stagnation", "seen", "remedy"),)


def matrix(strategy: str, tasks: int, chance: random.Random) -> list[list[float | None]]:
    """Return a plausible R; joint training has the last row only."""
    fresh, loss = LEVELS.get(strategy, (55.0 + sum(map(ord, strategy)) % 15, 4.0 + len(strategy) % 9))
    starts = [min(98.0, max(5.0, fresh + chance.gauss(8, 9))) for _ in range(tasks)]
    rows: list[list[float | None]] = [
        [max(0.0, starts[j] - loss * (1 - 0.85 ** (i - j)) * 3 + chance.gauss(0, 1.5)) for j in range(i + 1)]
        for i in range(tasks)
    ]
    return [*([] for _ in rows[1:]), rows[-1]] if strategy == "joint" else rows


def history(tasks: int, chance: random.Random, iterations: int = 60) -> History:
    """Return the records of a controller that is fed made-up losses; the first task has no memory."""
    controller, records = PRESETS["paper"].controller(), History()
    for experience in range(1, tasks):
        controller.start()
        for iteration in range(1, iterations + 1):
            training = 0.3 + 2.5 * 0.95**iteration + chance.random() * 0.4
            losses = (training, 0.4 + 0.1 * controller.elapsed * chance.random() + 0.1 * chance.random())
            reason = controller.observe(losses[1])
            state = controller.forgetting
            active = state.activations > (records.iterations[-1].active if records.iterations else 0)
            records.iterations.append(
                MonitorRecord(experience, iteration, *losses, state.threshold, "active" if active else "quiet", active)
            )
            if reason is not None:
                decision = controller.merge(2.0 * controller.elapsed**0.6 * 0.97**iteration, reason)
                merge = MergeRecord.of(experience, iteration, decision, (0.9, 0.5), True, 0.6, FOUND[: experience // 2])
                records.merges.append(merge)
    return records


def result(strategy: str, order: str = "1", seed: int = 0, tasks: Sequence[str] = TASKS, **changes: Any) -> Result:
    """Return the result of a made-up run, always the same for the same arguments."""
    chance = random.Random(f"{strategy} {order} {seed}")
    names = list(tasks) if order == "1" else list(reversed(tasks))
    passes = 1.0 + (strategy != "naive") * (0.3 + sum(map(ord, strategy)) % 10 / 7)
    cost = Cost(12.0 * passes + chance.random(), 10.0 * passes, 125 * len(names), passes, 0.9 * ("aim" in strategy),
                1800.0 + 40 * chance.random())  # fmt: skip
    merging = "aim" in strategy or "interval" in strategy
    values: dict[str, Any] = {
        "r": matrix(strategy, len(names), chance),
        "cost": cost,
        "label_accuracy": [60.0 + chance.gauss(0, 4) for _ in names],
        "single": [50.0 + 3 * j for j in range(len(names))],
        "history": history(len(names), chance) if merging else None,
        "eval_rows": [100 + len(name) for name in names],
    }
    return Result(strategy=strategy, seed=seed, tasks=names, order=order, **{**values, **changes})


def write(folder: Path, ended: Sequence[Result | Failure], **settings: Any) -> Path:
    """Write runs as a comparison does; returns the folder."""
    configuration = Configuration(data="sample", model="tiny", device="cpu", **settings)
    for run in ended:
        RunStore(folder).save(run, configuration.of_run(run.strategy))
    return folder


def comparison(
    folder: Path,
    strategies: Sequence[str] = tuple(LEVELS),
    seeds: int = 3,
    tasks: Sequence[str] = TASKS,
) -> Path:
    """Write a comparison over two orders: one run failed, one is missing. Returns the folder."""
    runs: dict[tuple[str, str, int], Result | Failure] = {
        (name, order, seed): result(name, order, seed, tasks)
        for name in strategies for order in ("1", "2") for seed in range(seeds)
    }  # fmt: skip
    if seeds > 1:
        del runs[strategies[-1], "2", seeds - 1]
        details = "Traceback (most recent call last):\n  <made up>\nRuntimeError: out of memory"
        failed = Failure(strategies[1], "1", 1, "RuntimeError: out of memory & <more>", details)
        runs[strategies[1], "1", 1] = failed
    return write(folder, list(runs.values()))
