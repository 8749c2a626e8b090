"""Runs of test_distributed.py: the same in one process and, as a program, in each of several."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from avalanche.benchmarks.scenarios.supervised import class_incremental_benchmark
from avalanche.benchmarks.utils import as_classification_dataset
from avalanche.evaluation.metrics import accuracy_metrics, loss_metrics
from avalanche.training import EWC, Naive
from avalanche.training.plugins import EvaluationPlugin, ReplayPlugin, SupervisedPlugin
from conftest import MOODS, TOPICS, closed_task, open_task
from torch import nn
from torch.utils.data import TensorDataset

from avalanche_aim import (
    AIMMergingPlugin,
    DataParallel,
    GradientStep,
    LanguageModel,
    LearningRateSchedule,
    RehearsalMemory,
    text_benchmark,
)
from avalanche_aim.distributed import count, end, initialise
from avalanche_aim.distributed.processes import rank
from avalanche_aim.evaluation import ResultMatrix, text_metrics
from avalanche_aim.merging import AdaptiveInterval, FixedInterval
from avalanche_aim.text import LengthGrouping

PROCESSES = 2
BATCH = 4
"""Examples of an iteration, of all processes together."""


class Passes(SupervisedPlugin, supports_distributed=True):
    """Keeps the loss and the sizes that plugins see, and raises after some iterations where it is told to."""

    def __init__(self, fail_after: float = float("inf")) -> None:
        super().__init__()
        self.losses: list[float] = []
        self.sizes: list[tuple[int, int]] = []
        self.fail_after = fail_after

    def before_backward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.sizes.append((len(strategy.mb_y), len(strategy.mb_output)))

    def after_update(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.losses.append(float(strategy.loss))
        if len(self.losses) > self.fail_after:
            raise RuntimeError("this process was told to fail")


def language_run(name: str, *plugins: Any, dropout: float = 0.0, rows: int = 9, failing: bool = False) -> dict[str, Any]:
    """Train a tiny language model on three tasks, whose last batch is smaller than the processes are many."""
    torch.manual_seed(7 + rank())  # the processes have to make their streams the same
    model = LanguageModel.from_pretrained(name, {"lora_dropout": dropout})
    with torch.no_grad():
        for weight in model.parameters():
            weight += rank()  # … and their weights
    parts = [rows, 2, 5]
    tasks = [closed_task("moods", MOODS, "Mood", parts), open_task("names", parts),
             closed_task("topics", TOPICS, "Topic", parts)]  # fmt: skip
    benchmark = text_benchmark(tasks, model.tokenizer, cache=False)
    aim = next((p for p in plugins if isinstance(p, AIMMergingPlugin)), None)
    watch = Passes(fail_after=3 if failing and rank() == 1 else float("inf"))
    metrics = text_metrics(max_new_tokens=4)
    strategy = Naive(
        model=model,
        optimizer=torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0),
        criterion=model.criterion,
        train_mb_size=BATCH // count(),
        train_epochs=2,
        eval_mb_size=4 // count(),
        plugins=[DataParallel(), *plugins, watch],
        evaluator=EvaluationPlugin(*metrics, loggers=[_Silent()]),
    )
    for number, experience in enumerate(benchmark.train_stream):
        strategy.train(experience)
        strategy.eval(benchmark.test_stream[: number + 1])
    matrix = next(m for m in metrics if isinstance(m, ResultMatrix))
    return {
        "weights": [p.detach() for p in model.parameters()],
        "losses": watch.losses,
        "sizes": watch.sizes,
        "r": matrix.rows,
        "metrics": strategy.evaluator.get_last_metrics(),
        "history": aim.history.to_dict() if aim else {},
        "memory": aim.memory.selected if aim else [],
        "random": torch.rand(3).tolist(),
    }


class _Silent:
    def log_metrics(self, values: Any) -> None:
        pass


def aim(**settings: Any) -> AIMMergingPlugin:
    return AIMMergingPlugin(memory=3, schedule=AdaptiveInterval(initial=2, cold_start=2), **settings)


def adaptive() -> dict[str, Any]:
    return language_run("tiny", GradientStep(micro_batch_size=1, max_grad_norm=0.5), aim(max_grad_norm=0.5))


def with_replay() -> dict[str, Any]:
    memory = RehearsalMemory(3)
    replay = ReplayPlugin(mem_size=memory.max_size, storage_policy=memory)
    return language_run("tiny-t5", replay, LearningRateSchedule("linear"), aim(preset="reference"))


def length_grouped() -> dict[str, Any]:
    return language_run("tiny-t5", LengthGrouping(), AIMMergingPlugin(memory=3, schedule=FixedInterval(2)))


def with_dropout() -> dict[str, Any]:
    return language_run("tiny", aim(monitor_mode="train"), dropout=0.3)


def classifier() -> dict[str, Any]:
    """Penalties on the weights, a buffer that draws from the global streams, and Avalanche's own metrics."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(66) % 6
    data = TensorDataset(torch.randn(66, 8, generator=generator) + 3 * nn.functional.one_hot(y, 8), y)
    data.targets = y.tolist()
    streams = {name: as_classification_dataset(data) for name in ("train", "test")}
    benchmark = class_incremental_benchmark(streams, num_experiences=3, class_order=list(range(6)))
    torch.manual_seed(3 + rank())
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 6)).double()
    metrics = [accuracy_metrics(epoch=True, experience=True), loss_metrics(epoch=True, experience=True)]
    strategy = EWC(
        model=_Double(model),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        criterion=nn.CrossEntropyLoss(reduction="sum"),
        ewc_lambda=1.0,
        train_mb_size=BATCH // count(),
        train_epochs=2,
        eval_mb_size=8 // count(),
        plugins=[DataParallel(), ReplayPlugin(mem_size=7)],
        evaluator=EvaluationPlugin(*metrics, loggers=[_Silent()]),
    )
    found = []
    for experience in benchmark.train_stream:
        strategy.train(experience)
        found.append(strategy.eval(benchmark.test_stream))
    return {"weights": [p.detach() for p in model.parameters()], "metrics": found}


class _Double(nn.Module):
    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x.double())


RUNS: dict[str, Callable[[], dict[str, Any]]] = {
    run.__name__: run for run in (adaptive, with_replay, length_grouped, with_dropout, classifier)
}


if __name__ == "__main__":
    initialise()
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    for name, run in RUNS.items():
        torch.save(run(), folder / f"{name}-{rank()}.pt")
    language_run("tiny", aim(), failing=True)
    end()
