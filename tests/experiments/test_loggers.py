"""TensorBoard and Weights & Biases get what is published, the metrics and the training loss."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from avalanche_aim.experiments import Comparison, Configuration
from avalanche_aim.experiments.loggers import loggers
from avalanche_aim.experiments.result import Key


class FakeWandb:
    """Stands in for the package, which starts processes of its own."""

    def __init__(self) -> None:
        self.started: list[dict[str, Any]] = []
        self.logged: list[tuple[dict[str, Any], int]] = []
        self.ended = 0
        self.run = self

    __version__ = "0"

    def init(self, **settings: Any) -> None:
        self.started.append(settings)

    def _label(self, repo: str) -> None:
        pass

    def log(self, values: dict[str, Any], step: int) -> None:
        self.logged.append((values, step))

    def finish(self) -> None:
        self.ended += 1


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setattr("avalanche_aim.experiments.loggers.check_loggers", lambda names: None)
    monkeypatch.setattr("avalanche_aim.experiments.comparison.check_loggers", lambda names: None)
    return fake


def test_tensorboard_has_the_loss_the_scores_and_the_merges(
    configuration: Callable[..., Configuration], tmp_path: Path
) -> None:
    Comparison(configuration(strategies=("aim-paper",), log=("tensorboard",)), tmp_path).run(progress=False)
    (run,) = (tmp_path / "logs" / "tensorboard").iterdir()
    events = EventAccumulator(str(run)).Reload()
    tags = events.Tags()["scalars"]
    steps = [event.step for event in events.Scalars("Loss_MB/train_phase")]
    assert steps == sorted(set(steps))
    assert len(steps) == 4  # two tasks of 8 examples, four at a time
    assert any(tag.startswith("TaskScore_Stream") for tag in tags)
    assert "AIM/HistoricalLoss" in tags


def test_weights_and_biases_has_them_too_and_is_told_which_run_it_is(
    configuration: Callable[..., Configuration], tmp_path: Path, wandb: FakeWandb
) -> None:
    asked = configuration(strategies=("naive", "aim-paper"), log=("wandb",))
    Comparison(asked, tmp_path).run(progress=False)
    assert [settings["name"].partition(",")[0] for settings in wandb.started] == ["naive", "aim-paper"]
    assert len({settings["id"] for settings in wandb.started}) == wandb.ended == 2
    assert wandb.started[0]["config"]["batch_size"] == 4
    names = {name for values, _ in wandb.logged for name in values}
    assert {"Loss_MB/train_phase", "AIM/HistoricalLoss"} <= names


def test_a_run_that_resumes_is_logged_to_where_it_was(tmp_path: Path, wandb: FakeWandb) -> None:
    for _ in range(2):
        with loggers(["wandb"], tmp_path, Key("aim-paper", "1", 0), {}):
            pass
    first, second = (settings["id"] for settings in wandb.started)
    assert first == second


def test_a_missing_package_is_named_before_training(
    configuration: Callable[..., Configuration], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="log: expected the package wandb, which is not installed: pip install wandb"):
        Comparison(configuration(log=("wandb",)), tmp_path)


def test_logging_changes_no_result(configuration: Callable[..., Configuration], tmp_path: Path) -> None:
    results = []
    for name, log in (("plain", ()), ("logged", ("tensorboard",))):
        comparison = Comparison(configuration(strategies=("aim-paper",), log=log), tmp_path / name)
        comparison.run(progress=False)
        results.append(comparison.results[0])
    assert results[0].r == results[1].r
    assert results[0].history.to_dict() == results[1].history.to_dict()
