"""An interrupted run of a comparison goes on in its middle, and its cost adds up."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from short_presets import SHORT

from avalanche_aim.checkpoint import CheckpointFolder
from avalanche_aim.experiments import Comparison, Configuration, Result
from avalanche_aim.experiments.comparison import Checkpoints
from avalanche_aim.experiments.cost import CostMeter
from avalanche_aim.experiments.progress import Progress
from avalanche_aim.merging import PRESETS

OTHERS = (
    *("averaging", "aim-self-written", "joint", "cumulative"),
    *("mix-replay", "mer", "sure", "forever", "wsc", "magmax", "slao"),
    *(f"aim-{name}" for name in PRESETS),
)


class PowerCut(BaseException):
    """What no code of ours may catch."""


def all_but_time(result: Result) -> dict[str, Any]:
    data = result.to_dict()
    counted = ("iterations", "gradient_passes", "other_passes", "optimizer_steps", "memory_held", "memory_share")
    passes = {name: data["cost"][name] for name in counted}
    history = None if result.history is None else result.history.to_dict()
    return {**data, "cost": passes, "history": history}


@pytest.fixture
def cut_off(monkeypatch: pytest.MonkeyPatch) -> Callable[[Comparison, int], None]:
    """Run a comparison and break it off after so many checkpoints."""
    save = CheckpointFolder.save

    def cut(comparison: Comparison, after: int) -> None:
        left = iter(range(after))

        def saving(*arguments: Any) -> Path:
            if next(left, None) is None:
                raise PowerCut
            return save(*arguments)

        with monkeypatch.context() as patch, pytest.raises(PowerCut):
            patch.setattr(CheckpointFolder, "save", saving)
            comparison.run(progress=False)

    return cut


@pytest.mark.parametrize("name", ["aim", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)])
def test_it_ends_as_one_that_was_not_interrupted(
    name: str, configuration: Callable[..., Configuration], cut_off: Callable[..., None], tmp_path: Path
) -> None:
    short = {"forever": {"calibration": 1}, **{f"aim-{preset}": parts for preset, parts in SHORT.items()}}
    options = {name: short[name]} if name in short else {}
    asked = configuration(strategies=(name,), epochs=2, options=options)
    every = Checkpoints(every=1)
    whole = Comparison(asked, tmp_path / "whole", every)
    whole.run(progress=False)
    for saves in (4, 2):
        cut_off(Comparison(asked, tmp_path / "cut", every), saves)
    resumed = Comparison(asked, tmp_path / "cut", every)
    resumed.run(progress=False)
    assert [all_but_time(r) for r in resumed.results] == [all_but_time(r) for r in whole.results]
    assert not (tmp_path / "cut" / "checkpoints").exists()


def test_what_was_trained_is_not_trained_again(
    configuration: Callable[..., Configuration],
    cut_off: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained: list[int] = []
    count = CostMeter.after_training_iteration
    monkeypatch.setattr(CostMeter, "after_training_iteration", lambda *a, **k: trained.append(1) or count(*a, **k))
    asked, every = configuration(strategies=("naive",), epochs=2), Checkpoints(every=1)
    cut_off(Comparison(asked, tmp_path, every), 3)  # before iterations 0, 1 and 2 of 8
    Comparison(asked, tmp_path, every).run(progress=False)
    assert len(trained) == 3 + (8 - 2)


def test_an_unfinished_run_of_other_settings_is_refused(
    configuration: Callable[..., Configuration], cut_off: Callable[..., None], tmp_path: Path
) -> None:
    every = Checkpoints(every=1)
    cut_off(Comparison(configuration(strategies=("naive",)), tmp_path, every), 3)
    other = Comparison(configuration(strategies=("naive",), learning_rate=1e-2), tmp_path, every)
    other.run(progress=False)
    (failure,) = other.failures
    assert "holds checkpoints of another run" in failure.error
    assert "learning_rate" in failure.error


def test_a_strategy_without_checkpoints_starts_over(
    configuration: Callable[..., Configuration], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def saving(*arguments: Any) -> Path:
        raise AssertionError("nothing is to be saved")

    monkeypatch.setattr(CheckpointFolder, "save", saving)
    comparison = Comparison(configuration(strategies=("er-ace",)), tmp_path, Checkpoints(every=1))
    comparison.run(progress=False)
    assert [result.strategy for result in comparison.results] == ["er-ace"]


@pytest.mark.parametrize("settings", [{"every": 0}, {"minutes": -1.0}])
def test_an_interval_that_is_not_positive_is_refused_at_once(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected a positive number or None"):
        Checkpoints(**settings)


def test_progress_goes_on_at_its_place(hidden: Any) -> None:
    hidden.n, hidden.total = 100, 1000
    first = Progress(hidden, "run", [50, 60])
    first._begun, first._base = 2, 160.0
    hidden.n = 170
    state = first.state_dict()
    hidden.n = 300
    second = Progress(hidden, "run", [50, 60])
    second.load_state_dict(state)
    assert (second._base, second._amount) == (360.0, 60)
