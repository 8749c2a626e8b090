"""When checkpoints are written, and what happens where they can't be written."""

import errno
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from avalanche.training.plugins import SupervisedPlugin
from checkpoint_runs import ITERATIONS, Run, aim, names_in, small_network

from avalanche_aim import CheckpointPlugin
from avalanche_aim.checkpoint import CheckpointFolder, folder
from avalanche_aim.checkpoint import plugin as plugin_module


class Written:
    """Keeps where checkpoints are written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.places: list[tuple[int, int]] = []
        save = CheckpointFolder.save

        def watched(folder: Any, state: Any, experience: int, iteration: int) -> Path:
            self.places.append((experience, iteration))
            return save(folder, state, experience, iteration)

        monkeypatch.setattr(CheckpointFolder, "save", watched)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    return Written(monkeypatch)


BORDERS = [(0, 0), (0, ITERATIONS), (1, 0), (1, ITERATIONS)]


def test_the_begin_and_the_end_of_each_experience_are_saved(stream: Any, tmp_path: Path, written: Written) -> None:
    Run(stream).train(CheckpointPlugin(tmp_path, minutes=None))
    assert written.places == BORDERS


def test_every_few_iterations_are_saved(stream: Any, tmp_path: Path, written: Written) -> None:
    Run(stream).train(CheckpointPlugin(tmp_path, every=3, minutes=None))
    assert written.places == sorted([*BORDERS, (0, 3), (0, 6), (1, 3), (1, 6)])


def test_the_time_budget_counts_from_the_last_checkpoint(
    stream: Any, tmp_path: Path, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(0, 10**6, 10))  # each look at the clock is ten seconds after the one before
    monkeypatch.setattr(plugin_module, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    Run(stream[:1]).train(CheckpointPlugin(tmp_path, minutes=0.5))
    # The clock is looked at before each batch, and where an epoch has none left: twice at the border after iteration 4.
    assert written.places == [(0, 0), (0, 3), (0, 5), (0, ITERATIONS)]


@pytest.mark.parametrize("settings", [{"every": 0}, {"every": -1}, {"minutes": 0.0}, {"minutes": float("nan")}])
def test_an_interval_that_is_not_positive_is_refused(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a positive number or None, got"):
        CheckpointPlugin(tmp_path, **settings)


def test_the_last_two_are_kept(stream: Any, tmp_path: Path) -> None:
    Run(stream).train(CheckpointPlugin(tmp_path))
    assert names_in(tmp_path) == ["checkpoint-0001-00000000.pt", f"checkpoint-0001-{ITERATIONS:08d}.pt"]


def test_a_finished_run_ends_the_same_when_started_again(
    stream: Any, tmp_path: Path, same: Callable[..., bool]
) -> None:
    run = Run(stream, aim)
    first = run.train(CheckpointPlugin(tmp_path))
    assert same(run.train(CheckpointPlugin(tmp_path)), first)


def test_the_frozen_weights_and_the_data_are_not_in_it(stream: Any, tmp_path: Path) -> None:
    def model() -> torch.nn.Module:
        network = small_network()
        network[0].requires_grad_(False)
        return network

    Run(stream, model=model).train(CheckpointPlugin(tmp_path))
    checkpoint = CheckpointFolder(tmp_path).newest()
    assert checkpoint is not None
    weights = checkpoint.state(torch.device("cpu"))["model"]
    assert "1.running_mean" in weights
    assert "4.weight" in weights
    assert not [name for name in weights if name.startswith("0.")]


def test_weights_that_were_frozen_on_the_way_are_kept(three_tasks: Any, tmp_path: Path) -> None:
    class Freeze(SupervisedPlugin):
        def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
            strategy.model[0].requires_grad_(strategy.experience.current_experience == 0)

    Run(three_tasks.train_stream, Freeze).train(CheckpointPlugin(tmp_path))
    checkpoint = CheckpointFolder(tmp_path).newest()
    assert checkpoint is not None
    assert "0.weight" in checkpoint.state(torch.device("cpu"))["model"]


# A disk that is full


def test_where_nothing_can_be_written_training_continues_and_says_so_once(
    stream: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same: Callable[..., bool]
) -> None:
    whole = Run(stream, aim).train(CheckpointPlugin(tmp_path / "whole"))

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(folder, "write_atomically", full)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outcome = Run(stream, aim).train(CheckpointPlugin(tmp_path / "full", every=1))
    said = [str(w.message) for w in caught if "no checkpoint could be written" in str(w.message)]
    assert len(said) == 1
    assert "No space left on device" in said[0]
    assert same(outcome, whole)
    assert not (tmp_path / "full").exists()


def test_a_folder_that_cannot_be_made_is_said_too(stream: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="no checkpoint could be written"):
        Run(stream).train(CheckpointPlugin(tmp_path / "file" / "checkpoints"))


def test_a_damaged_checkpoint_is_passed_over_and_the_end_is_the_same(
    stream: Any, tmp_path: Path, same: Callable[..., bool]
) -> None:
    run = Run(stream, aim)
    whole = run.train(CheckpointPlugin(tmp_path, every=3))
    newest = tmp_path / names_in(tmp_path)[-1]
    newest.write_bytes(b"")
    with pytest.warns(UserWarning, match=rf"{newest.name}: expected a checkpoint"):
        assert same(run.train(CheckpointPlugin(tmp_path)), whole)
