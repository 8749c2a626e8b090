"""What several test files share: small controllers, a small benchmark of random tensors, and training on it."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from avalanche.benchmarks.scenarios.supervised import class_incremental_benchmark
from avalanche.benchmarks.utils import as_classification_dataset
from avalanche.logging import BaseLogger
from avalanche.training import Naive
from avalanche.training.plugins import EvaluationPlugin
from hypothesis import settings
from torch import nn
from torch.utils.data import TensorDataset

from avalanche_aim.merging import PRESETS, ForgettingSignal, LearningSignal, MergeController

settings.register_profile("repository", deadline=None, derandomize=True, database=None, max_examples=30)
settings.load_profile("repository")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep the user's cache folder out of the tests, and the tests out of it."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("AVALANCHE_AIM_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def controller_of() -> Callable[..., MergeController]:
    """Build the controller of a preset, with single parts replaced."""

    def build(name: str, schedule: Any = None, factor: float | None = None) -> MergeController:
        chosen = PRESETS[name]
        forgetting = ForgettingSignal(factor or chosen.threshold_factor, extra_losses=chosen.extra_losses)
        return MergeController(schedule or chosen.schedule(), chosen.weights, LearningSignal(chosen.window), forgetting)

    return build


@pytest.fixture(scope="session")
def dataset_of() -> Callable[..., Any]:
    """Build an Avalanche data set whose examples are (row number, target)."""

    def build(targets: list[int]) -> Any:
        data = TensorDataset(torch.arange(len(targets)), torch.tensor(targets))
        data.targets = list(targets)
        return as_classification_dataset(data)

    return build


@pytest.fixture(scope="session")
def three_tasks() -> Any:
    """Six classes in three experiences of 32 examples each."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(96) % 6
    x = torch.randn(96, 8, generator=generator) + 3 * nn.functional.one_hot(y, 8)
    data = TensorDataset(x, y)
    data.targets = y.tolist()
    streams = {name: as_classification_dataset(data) for name in ("train", "test")}
    return class_incremental_benchmark(streams, num_experiences=3, class_order=list(range(6)))


def small_network() -> nn.Module:
    """Return a network with everything that a side pass could disturb: batch norm and dropout."""
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 6))


class Recorder(BaseLogger):
    """Keeps every metric value that reaches the loggers."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, list[tuple[int, Any]]] = defaultdict(list)

    def log_single_metric(self, name: str, value: Any, x_plot: int) -> None:
        self.values[name].append((x_plot, value))


@pytest.fixture
def train(three_tasks: Any) -> Callable[..., Any]:
    """Train with the plugins given (or functions of the optimizer), always from the same seed; returns the strategy."""

    def run(
        *plugins: Any,
        model: Callable[[], nn.Module] = small_network,
        stream: Any = None,
        criterion: Any = None,
        optimizer: Callable[[Any], torch.optim.Optimizer] = lambda weights: torch.optim.Adam(weights, lr=1e-2),
        template: type = Naive,
        epochs: int = 3,
        seed: int = 0,
    ) -> Any:
        torch.manual_seed(seed)
        network = model()
        chosen = optimizer(network.parameters())
        strategy = template(
            model=network,
            optimizer=chosen,
            criterion=criterion or nn.CrossEntropyLoss(),
            train_mb_size=8,
            train_epochs=epochs,
            eval_mb_size=32,
            evaluator=EvaluationPlugin(loggers=[Recorder()]),
            plugins=[plugin(chosen) if callable(plugin) else plugin for plugin in plugins],
        )
        for experience in stream or three_tasks.train_stream:
            strategy.train(experience)
        return strategy

    return run
