"""What several test files share: small benchmarks and training on them, tiny models and small text tasks."""

import gc
import os
from collections import defaultdict
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
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
from small_tasks import MOODS, TOPICS, closed_task, open_task
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import avalanche_aim
from avalanche_aim import LanguageModel, text_benchmark
from avalanche_aim.experiments import Cost, Result
from avalanche_aim.merging import PRESETS, MergeController
from avalanche_aim.text import TextExample, TextTask

if "PYTEST_XDIST_WORKER" in os.environ:  # busy processes with several threads each slow each other down
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that tests start
    torch.set_num_threads(1)

settings.register_profile("repository", deadline=None, derandomize=True, database=None, max_examples=30)
settings.load_profile("repository")


def pytest_collection_finish() -> None:
    """Leave what imports made out of later garbage collections: looking through it takes longer than most tests."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Let everything be collected at the end; some libraries complain of what is left."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep the user's cache folder out of the tests, and the tests out of it."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("AVALANCHE_AIM_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def same() -> Callable[[Any, Any], bool]:
    """Compare two nested states bit for bit."""

    def compare(a: Any, b: Any) -> bool:
        if isinstance(a, Tensor):
            return torch.equal(a, b)
        if isinstance(a, dict):
            return a.keys() == b.keys() and all(compare(a[key], b[key]) for key in a)
        if isinstance(a, list):
            return len(a) == len(b) and all(map(compare, a, b))
        return bool(a == b)

    return compare


@pytest.fixture(scope="session")
def controller_of() -> Callable[..., MergeController]:
    """Build the controller of a preset, with single parts replaced."""

    def build(name: str, schedule: Any = None, factor: float | None = None) -> MergeController:
        forgetting = {} if factor is None else {"factor": factor}
        return PRESETS[name].controller(schedule=schedule or {}, forgetting=forgetting)

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


REPOSITORY = Path(avalanche_aim.__file__).parents[1]
MODELS = ("tiny", "tiny-t5")


@pytest.fixture(scope="session")
def closed_tasks() -> list[TextTask]:
    """Two closed tasks that share a label: 8 training, 4 dev and 6 test examples each."""
    return [closed_task("moods", MOODS, "Mood", (8, 4, 6)), closed_task("topics", TOPICS, "Topic", (8, 4, 6))]


@pytest.fixture(scope="session")
def tasks(closed_tasks: list[TextTask]) -> list[TextTask]:
    """Two closed tasks and one of open generation."""
    return [*closed_tasks, open_task("names", (8, 4, 6))]


@pytest.fixture(scope="session")
def tiny_models() -> dict[str, LanguageModel]:
    """Return a tiny Llama and a tiny T5 whose LoRA weights are not zero, so that they matter. Copy before use."""
    models = {name: LanguageModel.from_pretrained(name) for name in MODELS}
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for model in models.values():
            for weight in model.parameters():
                weight += 0.05 * torch.randn(weight.shape, generator=generator)
    return models


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest, tiny_models: dict[str, LanguageModel]) -> LanguageModel:
    """Return a copy of each tiny model."""
    return deepcopy(tiny_models[request.param])


@pytest.fixture
def llama(tiny_models: dict[str, LanguageModel]) -> LanguageModel:
    """Return a copy of the tiny Llama, where one kind of model is enough."""
    return deepcopy(tiny_models["tiny"])


@pytest.fixture
def adapted(model: LanguageModel, tasks: list[TextTask]) -> tuple[LanguageModel, Any]:
    """Return a tiny model that knows the mixed stream's answers, and the stream."""
    benchmark = text_benchmark(tasks, model.tokenizer)
    model.adaptation(benchmark.train_stream[0])
    return model, benchmark


@cache
def trained_model(name: str) -> tuple[LanguageModel, Any]:
    """Return a tiny model that really learned a closed and an open task, in eval mode, and their benchmark."""
    model = LanguageModel.from_pretrained(name, lora=False)
    moods, names = closed_task("moods", MOODS, "Mood", (24, 8, 12)), open_task("names", (16, 4, 12))
    # Some test answers of the closed task are other ones than in training, with the same first token or not.
    test = tuple(TextExample(e.prompt, (MOODS[(i ^ 1 if i % 8 > 3 else i) % 4],)) for i, e in enumerate(moods.test))
    benchmark = text_benchmark([replace(moods, test=test), names], model.tokenizer, cache=False)
    model.adaptation(benchmark.train_stream[0])
    x = torch.cat([rows_of(experience) for experience in benchmark.train_stream])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(100):
            batch = x[torch.randperm(len(x))[:16]]
            optimizer.zero_grad()
            model.criterion(model(batch), batch[:, 1]).backward()
            optimizer.step()
    return model.eval(), benchmark


@pytest.fixture(params=MODELS)
def trained(request: pytest.FixtureRequest) -> tuple[LanguageModel, Any]:
    """Return a copy of each tiny model that really learned a closed and an open task, and their benchmark."""
    model, benchmark = trained_model(request.param)
    return deepcopy(model), benchmark


@pytest.fixture
def trained_llama() -> tuple[LanguageModel, Any]:
    """Return the trained tiny Llama, where one kind of model is enough, and its benchmark."""
    model, benchmark = trained_model("tiny")
    return deepcopy(model), benchmark


def rows_of(experience: Any, size: int | None = None) -> Tensor:
    """Return the packed rows of an experience, shape (N, L)."""
    return torch.stack([experience.dataset[i][0] for i in range(size or len(experience.dataset))])


@pytest.fixture(scope="session")
def rows() -> Callable[..., Tensor]:
    """Take the packed rows of an experience: all, or the first few."""
    return rows_of


@pytest.fixture(scope="session")
def mixed_batch() -> Callable[[Any], tuple[Tensor, list[tuple[TextTask, TextExample]]]]:
    """Take three test rows of each task in turn, with their tasks and examples."""

    def take(benchmark: Any) -> tuple[Tensor, list[tuple[TextTask, TextExample]]]:
        stream = benchmark.test_stream
        picks = [(row, experience) for row in range(3) for experience in stream]
        x = torch.stack([experience.dataset[row][0] for row, experience in picks])
        return x, [(experience.task, experience.task.test[row]) for row, experience in picks]

    return take


@pytest.fixture(scope="session")
def own_loss() -> Callable[[LanguageModel, str, str], Tensor]:
    """Compute Transformers' own loss of one answer to one prompt, alone, without padding and without our encoding."""

    def loss(model: LanguageModel, prompt: str, answer: str) -> Tensor:
        tokenizer, network = model.tokenizer, model.language_model
        ids = tokenizer(prompt).input_ids
        if network.config.is_encoder_decoder:
            return network(input_ids=torch.tensor([ids]), labels=torch.tensor([tokenizer(answer).input_ids])).loss
        whole = [*tokenizer(f"{prompt} {answer}").input_ids, tokenizer.eos_token_id]
        labels = [-100] * len(ids) + whole[len(ids) :]
        return network(input_ids=torch.tensor([whole]), labels=torch.tensor([labels])).loss

    return loss


@pytest.fixture(scope="session")
def without_dropout() -> Callable[[LanguageModel], LanguageModel]:
    """Switch off all dropout of a model that shares no module with another."""

    def switch_off(model: LanguageModel) -> LanguageModel:
        for module in model.backbone.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
            elif isinstance(getattr(module, "dropout", None), float):
                module.dropout = 0.0
        return model

    return switch_off


class Silent:
    """A logger that logs nothing, so that Avalanche does not warn of having none."""

    def log_metrics(self, values: Any) -> None:
        """Do nothing."""


@pytest.fixture(scope="session")
def strategy_of() -> Callable[..., Any]:
    """Make an Avalanche strategy that trains a language model in batches of four, quietly."""

    def make(model: Any, *metrics: Any, template: type = Naive, rate: float = 1e-3, **arguments: Any) -> Any:
        return template(
            model=model,
            optimizer=torch.optim.AdamW(model.parameters(), lr=rate),
            evaluator=EvaluationPlugin(*metrics, loggers=[Silent()]),
            **{"criterion": nn.NLLLoss(), "train_mb_size": 4, "eval_mb_size": 5, **arguments},
        )

    return make


@pytest.fixture(scope="session")
def result_of() -> Callable[..., Result]:
    """Make the result of a run over two tasks from its R matrix."""

    def make(strategy: str = "naive", seed: int = 0, r: Any = ((80.0,), (60.0, 90.0)), **changes: Any) -> Result:
        rows = [list(row) for row in r]
        values = {
            "tasks": ["moods", "topics"][: len(rows)],
            "cost": Cost(2.0, 1.5, 40, 1.0, 0.0, 512.0),
            "label_accuracy": [50.0, 100.0][: len(rows)],
            "order": "1",
        }
        return Result(strategy=strategy, seed=seed, r=rows, **{**values, **changes})

    return make


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder with the published benchmark files, or skip."""
    folder = Path(os.environ.get("AIM_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no benchmark files in {folder}; set AIM_DATA to their folder")
    return folder
