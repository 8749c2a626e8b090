"""Train one strategy on one stream and measure it."""

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from avalanche.benchmarks import CLScenario
from avalanche.evaluation import PluginMetric
from avalanche.training import Naive
from avalanche.training.plugins import EvaluationPlugin
from torch.amp import GradScaler

from ..checkpoint import CheckpointPlugin, problem_with_strategy
from ..distributed import DataParallel, world_size
from ..evaluation import ResultMatrix
from ..plugin import AIMMergingPlugin
from ..training.data_order import DataOrder
from ..training.divergence import DivergenceCheck
from ..training.gradients import GradientStep
from ..training.learning_rate import LearningRateSchedule
from .configuration import Settings
from .cost import CostMeter, EqualBudget
from .general import GeneralAbility, GeneralTasks
from .models import metrics_of
from .optimizers import OPTIMIZERS
from .progress import Progress, progress_bar
from .result import Key, Result
from .strategies import check_strategies, strategy
from .strategy import Budget
from .where import name_of, noted


def run(
    key: Key,
    model: Any,
    benchmark: CLScenario,
    settings: Settings,
    *,
    options: Mapping[str, Any] | None = None,
    single: Sequence[float] | None = None,
    bar: Any = None,
    label: str = "",
    keep: Callable[[Any, Result], None] | None = None,
    checkpoint: CheckpointPlugin | None = None,
    loggers: Sequence[Any] = (),
    general: GeneralTasks | None = None,
) -> Result:
    """Train a fresh copy of the model on the whole stream, evaluating the tasks seen so far after each.

    An exception says in a note which task was trained on, and which row it met if it came from an example's data.

    :param key: the strategy, by name; the seed of data order, dropout and the memory; the order's name, for the record.
    :param model: the model to start from, a language model or any other with a ``criterion``; it stays as it is.
    :param single: the score of each task trained on alone
        (:func:`~avalanche_aim.experiments.single_task.single_task_scores`), for FWT.
    :param bar: a ``tqdm`` bar whose total covers this run (:func:`examples_of`); one of its own by default.
    :param keep: gets the trained model and the result at the end, to save the model, say.
    :param checkpoint: saves the run, and lets it go on where it was; without effect for a strategy whose state can't be
        kept.
    :param general: tasks on which a language model's general ability is measured besides.
    :raises ValueError: for an unknown strategy or option, or a stream that the benchmark lacks.
    :raises FloatingPointError: if training makes weights non-finite.
    """
    check_strategies([key.strategy], {key.strategy: dict(options)} if options else {})
    if settings.stream not in benchmark.streams:
        raise ValueError(f"stream: expected one of {', '.join(benchmark.streams)}, got {settings.stream!r}")
    seed_everything(key.seed)
    model = deepcopy(model)
    chosen = strategy(key.strategy)
    if chosen.all_labels and hasattr(model, "score_all_labels"):
        model.score_all_labels = True
    sizes = tuple(len(experience.dataset) for experience in benchmark.train_stream)
    arguments = chosen.arguments(Budget.of(settings, key.seed, benchmark), **(options or {}))
    evaluation = benchmark.streams[settings.stream]
    metrics = metrics_of(model, settings.stream)
    matrix = next(metric for metric in metrics if isinstance(metric, ResultMatrix))
    own_bar = progress_bar(examples_of(benchmark, settings)) if bar is None else None
    amounts = [size * settings.epochs for size in ([sum(sizes)] if chosen.whole_stream else sizes)]
    progress = Progress(own_bar if bar is None else bar, label or f"{key.strategy}, seed {key.seed}", amounts)
    meter = CostMeter(model, settings.device)
    plugins = arguments.get("plugins", [])
    # AIM looks after the weights itself, since it can go back to earlier ones.
    check = [] if any(isinstance(plugin, AIMMergingPlugin) for plugin in plugins) else [DivergenceCheck()]
    equal = [] if settings.equal is None else [EqualBudget(settings.equal, meter)]
    ability = None if general is None else GeneralAbility(general, len(sizes), settings.eval_batch_size)
    arguments["plugins"] = [*plugins, *check, progress, meter, *equal, *filter(None, [ability])]
    trained = make_strategy(model, settings, key.seed, metrics, chosen.template, loggers, **arguments)
    last: dict[str, Any] = {}
    try:
        # A strategy for the whole stream is trained once, then evaluated on all of it.
        train = [benchmark.train_stream] if chosen.whole_stream else benchmark.train_stream
        for experience in _left(trained, train, checkpoint):
            if ability is not None:
                with meter.apart(), noted("measuring general ability before the stream"):
                    ability.measure(trained.model.to(settings.device), 0)
            with meter.training(), noted(f"training on {name_of(experience)}"):
                trained.train(experience, reset_optimizer_state=True)
            seen = len(evaluation) if chosen.whole_stream else experience.current_experience + 1
            with noted(f"evaluating after {name_of(experience)}"):
                last = trained.eval(evaluation[:seen])
            if ability is not None:
                with meter.apart(), noted(f"measuring general ability after {name_of(experience)}"):
                    ability.measure(trained.model, seen)
    finally:
        if own_bar is not None:
            own_bar.close()
    missing: list[list[float | None]] = [[] for _ in range(len(sizes) - len(matrix.rows))]
    result = Result(
        strategy=key.strategy,
        order=key.order,
        seed=key.seed,
        tasks=[experience.task_name for experience in benchmark.train_stream],
        r=[*missing, *matrix.rows],
        cost=meter.cost(sum(sizes) * settings.epochs),
        label_accuracy=[100.0 * value for key, value in sorted(last.items()) if key.startswith("LabelAccuracy_Exp")],
        single=None if single is None else list(single),
        history=next((p.history for p in arguments["plugins"] if isinstance(p, AIMMergingPlugin)), None),
        eval_rows=[len(experience.dataset) for experience in evaluation],
        general=None if ability is None else ability.result(),
    )
    if keep is not None:
        keep(trained.model, result)
    return result


def seed_everything(seed: int) -> None:
    """Seed the global random streams of torch, NumPy and Python, which some of Avalanche's strategies draw from."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def _left(strategy: Any, stream: Sequence[Any], checkpoint: CheckpointPlugin | None) -> Iterable[Any]:
    """What is still to be trained on: all of it, without a checkpoint."""
    if checkpoint is None or problem_with_strategy(strategy) is not None:
        return stream
    strategy.plugins.insert(1, checkpoint)  # DataParallel has to be the first
    return checkpoint.resume(strategy, stream)


def make_strategy(
    model: Any,
    settings: Settings,
    seed: int,
    metrics: Sequence[PluginMetric],
    template: type = Naive,
    loggers: Sequence[Any] = (),
    **arguments: Any,
) -> Any:
    """Make the strategy of a run, with its optimizer and a data order of its own.

    :param model: the model to train, itself; if it has an ``autocast`` in fp16, the loss is scaled.
    :param seed: of the data order.
    """
    norm = math.inf if settings.max_grad_norm is None else settings.max_grad_norm
    fp16 = getattr(model, "autocast", None) is torch.float16
    scaler = GradScaler(torch.device(settings.device).type) if fp16 else None
    step = GradientStep(settings.micro_batch_size, norm, scaler)
    schedule = LearningRateSchedule(settings.schedule, settings.warmup)
    arguments["plugins"] = [DataParallel(), step, schedule, DataOrder(seed), *arguments.get("plugins", [])]
    return template(
        model=model,
        optimizer=OPTIMIZERS[settings.optimizer](
            model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        ),
        criterion=model.criterion,
        train_mb_size=batch_of_process(settings.batch_size),
        train_epochs=settings.epochs,
        eval_mb_size=settings.eval_batch_size,
        device=settings.device,
        evaluator=EvaluationPlugin(*metrics, loggers=list(loggers) or [_Silent()]),
        **arguments,
    )


def batch_of_process(batch_size: int) -> int:
    """Return each process's part of a training batch; what is measured then does not depend on how many there are.

    :raises ValueError: if the processes cannot share it evenly.
    """
    if batch_size % world_size():
        raise ValueError(
            f"batch_size: expected a multiple of the {world_size()} processes that share it, got {batch_size}"
        )
    return batch_size // world_size()


class _Silent:
    """A logger that logs nothing, so that Avalanche does not warn of having none."""

    def log_metrics(self, values: Any) -> None:
        """Do nothing."""


def examples_of(benchmark: CLScenario, settings: Settings) -> int:
    """Return how many examples a run trains on and evaluates, in all."""
    trained = sum(len(e.dataset) for e in benchmark.train_stream) * settings.epochs
    sizes = [len(e.dataset) for e in benchmark.streams[settings.stream]]
    return trained + sum(sum(sizes[: i + 1]) for i in range(len(sizes)))
