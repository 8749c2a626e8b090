"""What the tests of comparisons share: small streams, a hidden bar, results with and without a history."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from avalanche.benchmarks import CLScenario
from staged import Stage

from avalanche_aim import LanguageModel, text_benchmark
from avalanche_aim.experiments import Comparison, Configuration, Key, Result, comparison
from avalanche_aim.experiments.models import LanguageModels
from avalanche_aim.experiments.progress import progress_bar
from avalanche_aim.merging import History, Merge, MergeRecord, MonitorRecord
from avalanche_aim.text import TextTask


@pytest.fixture
def hidden() -> Any:
    """Return a progress bar that is not shown."""
    return progress_bar(0, shown=False)


@pytest.fixture(scope="session")
def streams(tiny_models: dict[str, LanguageModel], closed_tasks: list[TextTask]) -> dict[str, CLScenario]:
    """Two closed tasks of 8 training examples as a stream, for each tiny model."""
    return {name: text_benchmark(closed_tasks, m.tokenizer, cache=False) for name, m in tiny_models.items()}


@pytest.fixture
def configuration() -> Callable[..., Configuration]:
    """Make the configuration of a comparison of seconds: the tiny model on two tasks of the sample."""

    def make(**changes: Any) -> Configuration:
        small = {"model": "tiny", "train_per_task": 8, "eval_per_task": 4, "batch_size": 4, "memory": 4}
        return Configuration(**{**small, "orders": ("news,reviews",), "precision": "fp32", "device": "cpu", **changes})

    return make


@pytest.fixture
def history() -> History:
    """Return a history of two monitored iterations and one merge."""
    decision = Merge("interval", 2, 2, 0.25, 0, 0, 1.5, 1, 0.6, 0.4, 2, 3, False)
    merge = MergeRecord.of(1, 2, decision, [1.25, 0.75], True, 0.5, [])
    losses = [
        MonitorRecord(1, 1, 0.5, 1.0, None, "collecting", False),
        MonitorRecord(1, 2, 0.5, 2.0, 1.5, "active", True),
    ]
    return History([merge], losses)


@pytest.fixture
def merged(result_of: Callable[..., Result], history: History) -> Result:
    """Return the result of a run with a history."""
    return result_of("aim", history=history)


@pytest.fixture
def stage(
    monkeypatch: pytest.MonkeyPatch, result_of: Callable[..., Result], tiny_models: dict[str, LanguageModel]
) -> Stage:
    """Put stand-ins in the place of all that takes time."""
    stage = Stage()

    def run(key: Key, model: Any, benchmark: Any, settings: Any, **chosen: Any) -> Result:
        name = key.strategy
        stage.runs.append(key)
        stage.options.append(chosen["options"])
        stage.during.pop(name, lambda: None)()
        if name in stage.errors:
            raise stage.errors[name]
        return result_of(name, key.seed, order=key.order, single=chosen["single"])

    def load(self: LanguageModels, seed: int) -> LanguageModel:
        stage.models.append(seed)
        return tiny_models["tiny"]

    def single(model: Any, benchmark: Any, settings: Any, seed: int, **chosen: Any) -> list[float]:
        stage.references.append(seed)
        return [70.0, 70.0]

    monkeypatch.setattr(comparison, "run", run)
    monkeypatch.setattr(comparison, "single_task_scores", single)
    monkeypatch.setattr(LanguageModels, "_load", load)
    return stage


@pytest.fixture
def compare(configuration: Callable[..., Configuration], tmp_path: Path) -> Callable[..., Comparison]:
    """Run a comparison in one folder."""

    def run(folder: Path = tmp_path / "out", **changes: Any) -> Comparison:
        made = Comparison(configuration(**{"strategies": ("naive", "aim"), **changes}), folder)
        made.run(progress=False)
        return made

    return run
