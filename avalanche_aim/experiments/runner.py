"""Train one strategy on one stream and measure it."""

import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from avalanche.benchmarks import CLScenario
from avalanche.evaluation import PluginMetric
from avalanche.training import Naive
from avalanche.training.plugins import EvaluationPlugin

from ..evaluation import ResultMatrix, summary, text_metrics
from ..merging import History
from ..plugin import AIMMergingPlugin
from ..text import LanguageModel
from .progress import Progress
from .strategies import STRATEGIES, check_strategies


@dataclass(frozen=True)
class Settings:
    """What all strategies of a comparison share.

    :param epochs: passes over each task's training data.
    :param batch_size: training examples of an iteration; replay and memory batches have as many again.
    :param eval_batch_size: examples of an evaluation batch.
    :param learning_rate: of AdamW, without weight decay, constant; its state starts anew in each task.
    :param memory: rehearsed share (float) or count (int) of each past task.
    :param seed: of data order, dropout and the memory.
    :param device: where to train.
    :param stream: "test", or "dev" for choices that must not look at test data.
    """

    epochs: int = 1
    batch_size: int = 8
    eval_batch_size: int = 16
    learning_rate: float = 5e-4
    memory: float | int = 0.02
    seed: int = 0
    device: str = "cpu"
    stream: str = "test"


@dataclass
class Result:
    """What one run measured: R in percent (None where not measured), minutes, and the merges."""

    strategy: str
    seed: int
    tasks: list[str]
    r: list[list[float | None]]
    minutes: float
    training_minutes: float
    metrics: dict[str, float]
    label_accuracy: list[float]
    """Of the tasks with a closed label set, in percent."""
    merges: int | None
    single: list[float] | None = None
    """The single-task references of FWT, where they were given."""
    history: History | None = field(default=None, repr=False)


def run(
    name: str,
    model: LanguageModel,
    benchmark: CLScenario,
    settings: Settings,
    progress: bool = True,
    single: Sequence[float] | None = None,
) -> Result:
    """Train a fresh copy of the model on the whole stream, evaluating the tasks seen so far after each.

    :param name: a key of :data:`STRATEGIES`.
    :param model: the model to start from; it stays as it is.
    :param benchmark: a text benchmark.
    :param settings: how to train.
    :param progress: whether to show a progress bar.
    :param single: the score of each task trained on alone
        (:func:`~avalanche_aim.experiments.single_task.single_task_scores`), for FWT.
    :raises ValueError: for an unknown strategy or a stream that the benchmark lacks.
    """
    check_strategies([name])
    if settings.stream not in benchmark.streams:
        raise ValueError(f"stream: expected one of {', '.join(benchmark.streams)}, got {settings.stream!r}")
    torch.manual_seed(settings.seed)
    model = deepcopy(model)
    plugins = STRATEGIES[name](settings.memory, settings.seed)
    evaluation = benchmark.streams[settings.stream]
    metrics = text_metrics(settings.stream)
    matrix = next(metric for metric in metrics if isinstance(metric, ResultMatrix))
    bar = Progress(f"{name}, seed {settings.seed}", _examples(benchmark, evaluation, settings)) if progress else None
    strategy = make_strategy(model, settings, [*plugins, *([bar] if bar else [])], metrics)
    start, training, last = time.perf_counter(), 0.0, {}
    try:
        for number, experience in enumerate(benchmark.train_stream):
            began = time.perf_counter()
            strategy.train(experience, reset_optimizer_state=True)
            training += time.perf_counter() - began
            last = strategy.eval(evaluation[: number + 1])
    finally:
        if bar:
            bar.close()
    history = next((p.history for p in plugins if isinstance(p, AIMMergingPlugin)), None)
    accuracy = [value for key, value in sorted(last.items()) if key.startswith("LabelAccuracy_Exp")]
    r = matrix.result()
    assert r is not None
    return Result(
        strategy=name,
        seed=settings.seed,
        tasks=[experience.task_name for experience in benchmark.train_stream],
        r=matrix.rows,
        minutes=(time.perf_counter() - start) / 60,
        training_minutes=training / 60,
        metrics=summary(r, single),
        label_accuracy=[100.0 * value for value in accuracy],
        merges=None if history is None else len(history.merges),
        single=None if single is None else list(single),
        history=history,
    )


def make_strategy(
    model: LanguageModel, settings: Settings, plugins: Sequence[Any], metrics: Sequence[PluginMetric]
) -> Naive:
    """Make the strategy of a run: ``Naive`` with AdamW.

    :param model: the model to train, itself.
    :param settings: how to train.
    :param plugins: what is added to ``Naive``.
    :param metrics: what is measured.
    """
    return Naive(
        model=model,
        optimizer=torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=0.0),
        criterion=model.criterion,
        train_mb_size=settings.batch_size,
        train_epochs=settings.epochs,
        eval_mb_size=settings.eval_batch_size,
        device=settings.device,
        plugins=list(plugins),
        evaluator=EvaluationPlugin(*metrics, loggers=[_Silent()]),
    )


class _Silent:
    """A logger that logs nothing, so that Avalanche does not warn of having none."""

    def log_metrics(self, values: Any) -> None:
        """Do nothing."""


def _examples(benchmark: CLScenario, evaluation: Any, settings: Settings) -> int:
    """Examples that a run trains on and evaluates, in all."""
    trained = sum(len(e.dataset) for e in benchmark.train_stream) * settings.epochs
    sizes = [len(e.dataset) for e in evaluation]
    return trained + sum(sum(sizes[: i + 1]) for i in range(len(sizes)))
