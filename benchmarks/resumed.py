"""A run with checkpoints that begins or resumes, in a process of its own, and what there is to compare at its end."""

import hashlib
import json
import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from avalanche.benchmarks import CLScenario

from avalanche_aim import CheckpointPlugin
from avalanche_aim.evaluation import ResultMatrix
from benchmarks.workload import plugin_of

OUTCOME = "outcome.json"


def fork(function: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Start a process that has imported what this one has, and nothing else.

    :param function: what it does.
    :param arguments: of the function.
    """
    process = multiprocessing.get_context("fork").Process(target=function, args=arguments)
    process.start()
    return process


def finish(strategy: Any, checkpoint: CheckpointPlugin, stream: CLScenario, matrix: ResultMatrix, folder: Path) -> None:
    """Train what is left of a run, evaluate after each experience, and write what came of it.

    :param strategy: a fresh strategy with AIM.
    :param checkpoint: its plugin.
    :param stream: what is trained on.
    :param matrix: its metric.
    :param folder: where to.
    """
    evaluations = 0
    for experience in checkpoint.resume(strategy, stream.train_stream):
        strategy.train(experience, reset_optimizer_state=True)
        strategy.eval(stream.test_stream[: experience.current_experience + 1])
        evaluations = experience.current_experience + 1
    aim = plugin_of(strategy)
    weights = hashlib.sha256()
    for tensor in strategy.model.state_dict().values():
        weights.update(tensor.numpy().tobytes())
    outcome = {
        "weights": weights.hexdigest(),
        "r": matrix.rows,
        "history": aim.history.to_dict(),
        "rows": aim.memory.selected,
        "random": hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest(),
        "iterations": strategy.clock.train_iterations,
        "merges": len(aim.history.merges),
        "evaluations": evaluations,
    }
    (folder / OUTCOME).write_text(json.dumps(outcome))


def outcome(folder: Path) -> dict[str, Any]:
    """Read what came of a run.

    :param folder: where :func:`finish` wrote it.
    """
    written: dict[str, Any] = json.loads((folder / OUTCOME).read_text())
    return written


def different(runs: Sequence[dict[str, Any]]) -> str:
    """Name in what the first of two outcomes differs from the second.

    :param runs: the outcomes.
    """
    one, other = runs
    return ", ".join(part for part in other if one[part] != other[part]) or "nothing"
