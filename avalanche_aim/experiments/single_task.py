"""What each task scores when it is trained on alone: the references of forward transfer.

A score depends on the task, the model and the settings, not on the order of a stream, so it is measured once and kept
on disk, under a key of everything that it depends on. The folder may be deleted at any time.
"""

import hashlib
import json
import warnings
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
from avalanche.benchmarks import CLScenario

from ..distributed import on_main_process
from ..evaluation import ResultMatrix
from ..evaluation.batch_scores import answer_key
from ..storage.files import digest, resolve_cache, write_atomically
from ..storage.versions import versions
from ..text import LanguageModel
from ..text.model.fingerprint import model_fingerprint
from ..text.model.generation import MAX_NEW_TOKENS
from ..text.stream.encoding import HEADER, LENGTHS
from ..training.divergence import DivergenceCheck
from .configuration import Settings
from .models import metrics_of
from .progress import Progress, progress_bar
from .runner import make_strategy, seed_everything

FORMAT = 2
"""Of the files: to be raised with every change of what is measured."""


def single_task_scores(
    model: Any,
    benchmark: CLScenario,
    settings: Settings,
    seed: int = 0,
    cache: bool | str | Path = True,
    progress: bool = True,
    tasks: Sequence[int] | None = None,
) -> list[float]:
    """Train a fresh copy of the model on each task alone, and measure it on that task.

    Plain ``Naive`` training with the seed, data order and optimizer that the first task of a run has, so that for
    the first task b_0 = R[0][0] of ``naive``.

    :param model: the model to start from; it stays as it is.
    :param settings: how to train; the memory does not count.
    :param seed: of data order and dropout.
    :param cache: True to keep scores in the library's cache folder and find them there, False for neither, or a
        folder of your own. Only those of language models are kept: others take seconds.
    :param tasks: which tasks, by their places in the stream; all by default.
    :return: the score of each of them in percent.
    """
    folder = resolve_cache(cache, "single_task") if isinstance(model, LanguageModel) else None
    evaluation = benchmark.streams[settings.stream]
    pairs = list(zip(benchmark.train_stream, evaluation, strict=True))
    pairs = pairs if tasks is None else [pairs[task] for task in tasks]
    shared = common_key(model, settings, seed) if folder else {}
    keys = [{**shared, **task_key(train, test)} for train, test in pairs] if folder else []
    files = [folder / f"{digest(key)}.json" for key in keys] if folder else []
    scores: list[float | None] = (
        on_main_process(lambda: [read_score(file) for file in files]) if files else [None] * len(pairs)
    )
    missing = [number for number, score in enumerate(scores) if score is None]
    total = sum(len(pairs[n][0].dataset) * settings.epochs + len(pairs[n][1].dataset) for n in missing)
    bar = progress_bar(total, progress and bool(missing))
    try:
        for number in missing:
            score = _measure(model, *pairs[number], settings, seed, bar)
            if files:
                name, file, key = pairs[number][0].task_name, files[number], keys[number]
                score = on_main_process(partial(_first_written, file, name, score, key))
            scores[number] = score
    finally:
        bar.close()
    return [float(score) for score in scores if score is not None]


def common_key(model: LanguageModel, settings: Settings, seed: int) -> dict[str, Any]:
    """Return what the scores of all tasks depend on, as plain data."""
    names = [f.name for f in fields(Settings) if not f.name.startswith(("memory", "device"))]
    return {
        "format": FORMAT,
        "model": model_fingerprint(model),
        "autocast": str(model.autocast),
        "settings": {**{name: getattr(settings, name) for name in names}, "seed": seed},
        "device": torch.device(settings.device).type,
        "max_new_tokens": MAX_NEW_TOKENS,
        "versions": versions(),
    }


def task_key(train: Any, test: Any) -> dict[str, str]:
    """Return what the score of one task depends on besides; the same at any place of any order."""
    key = answer_key(test)
    places = [(int(x[0]), int(x[HEADER - 1])) for x in _rows(test)]
    return {
        "train": _tokens_digest(train),
        "evaluated": _tokens_digest(test),
        "references": digest([[key.metrics[task], key.references[task][number]] for task, number in places]),
    }


def _first_written(file: Path, name: str, score: float, key: dict[str, Any]) -> float:
    """Keep a score, unless another command has written its own meanwhile: all take the same."""
    if (written := read_score(file)) is not None:
        return written
    write_score(file, name, score, key)
    return score


def _measure(model: Any, train: Any, test: Any, settings: Settings, seed: int, bar: Any) -> float:
    seed_everything(seed)
    matrix = next(metric for metric in metrics_of(model, settings.stream) if isinstance(metric, ResultMatrix))
    progress = Progress(bar, f"alone, seed {seed}", [len(train.dataset) * settings.epochs])
    strategy = make_strategy(deepcopy(model), settings, seed, [matrix], plugins=[DivergenceCheck(), progress])
    strategy.train(train, reset_optimizer_state=True)
    strategy.eval([test])
    score = matrix.rows[0][test.current_experience]
    assert score is not None
    return score


def _tokens_digest(experience: Any) -> str:
    """Hash the tokens of all rows. Task number, class and padding belong to the stream, not to the task."""
    content = hashlib.sha256()
    for x in _rows(experience):
        lengths = x[LENGTHS]
        tokens = x[HEADER : HEADER + int(lengths.sum())]
        content.update(lengths.numpy().tobytes() + tokens.numpy().tobytes())
    return content.hexdigest()


def _rows(experience: Any) -> list[torch.Tensor]:
    return [experience.dataset[row][0] for row in range(len(experience.dataset))]


def read_score(file: Path) -> float | None:
    """Read a score that was kept.

    :return: None, after a warning, for a file that is damaged or of something else; None where there is none.
    """
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content.pop("checksum", None) != digest(content):
            problem = "its checksum is not that of its content"
        elif digest(content["key"]) != file.stem:
            problem = "it is that of another task, or of other settings"
        else:
            return float(content["score"])
    except (OSError, ValueError, RecursionError) as error:
        problem = f"{type(error).__name__}: {error}"
    warnings.warn(f"{file} holds no single-task score ({problem}); measuring it again", stacklevel=3)
    return None


def write_score(file: Path, task: str, score: float | None, key: dict[str, Any]) -> None:
    """Keep a score; a folder that can't be written is a warning.

    :param file: its file, named by the digest of ``key``.
    :param score: in percent.
    """
    content: dict[str, Any] = {"task": task, "score": score, "key": key}
    try:
        write_atomically(file, (json.dumps({**content, "checksum": digest(content)}, indent=1) + "\n").encode())
    except OSError as error:
        warnings.warn(f"the single-task score of {task} is not kept: {file.parent} can't be written ({error})",
                      stacklevel=3)  # fmt: skip
