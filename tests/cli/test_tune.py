"""The command line of tuning."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from avalanche_aim.__main__ import main
from avalanche_aim.experiments import Key, Result, comparison
from avalanche_aim.experiments.tuned import Tuned

SMALL = ["--benchmark", "digits", "--train-per-task", "4", "--eval-per-task", "2", "--device", "cpu"]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, result_of: Callable[..., Result]) -> list[float]:
    """Put a stand-in in the place of every run, which scores best at 2e-3 and fails above 1; collect the rates."""
    rates: list[float] = []

    def run(key: Key, model: Any, benchmark: Any, settings: Any, **chosen: Any) -> Result:
        rate = settings.learning_rate
        rates.append(rate)
        if len(rates) == 3 and key.seed == 9:
            raise KeyboardInterrupt
        if rate > 1:
            raise FloatingPointError("too fast")
        score = 50 * min(rate / 2e-3, 2e-3 / rate)
        return result_of(key.strategy, key.seed, r=((score,), (score, score)), order=key.order)

    monkeypatch.setattr(comparison, "run", run)
    return rates


def tune(out: Path, *arguments: str) -> int:
    return main(["tune", *SMALL, "--strategies", "naive", "--out", str(out), *arguments])


def test_it_tells_the_choices_and_writes_them(
    runs: list[float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tune(tmp_path, "--learning-rates", "1e-3", "2e-3", "4e-3", "--learning-rate-only") == 0
    assert runs == [1e-3, 2e-3, 4e-3]
    assert Tuned.read(tmp_path / "tuned.json").choices["naive"].learning_rate == 2e-3
    out = capsys.readouterr().out
    assert "| naive " in out
    assert "0.001: 25.0, 0.002: 50.0, 0.004: 25.0" in out
    assert f"run --tuned {tmp_path / 'tuned.json'} uses it" in out


def test_by_default_the_grid_is_around_the_learning_rate(runs: list[float], tmp_path: Path) -> None:
    assert tune(tmp_path, "--learning-rate", "2e-3", "--learning-rate-only") == 0
    assert runs == [1e-3, 2e-3, 4e-3]


def test_a_choice_at_the_edge_is_said(runs: list[float], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tune(tmp_path, "--learning-rates", "4e-3", "8e-3", "--extend", "0", "--learning-rate-only") == 0
    assert "Still best at the edge of the grid: naive" in capsys.readouterr().out


def test_a_trial_that_failed_is_shown_and_ends_with_status_one(
    runs: list[float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tune(tmp_path, "--learning-rates", "1e-3", "2e-3", "2", "--learning-rate-only") == 1
    assert "2: failed" in capsys.readouterr().out


def test_an_interruption_keeps_what_was_finished(
    runs: list[float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = ("--learning-rates", "1e-3", "2e-3", "4e-3", "--learning-rate-only", "--seeds", "9")
    assert tune(tmp_path, *grid) == 130
    assert "interrupted; every run that had ended is kept" in capsys.readouterr().err
    assert tune(tmp_path, *grid) == 0
    assert runs == [1e-3, 2e-3, 4e-3, 4e-3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--learning-rates", "0"), "learning_rates: expected one or more positive numbers"),
        (("--stream", "test"), "stream: expected dev"),
        (("--extend", "-1"), "extend: expected 0 or more"),
        (("--strategies", "slao"), "slao need a language model with LoRA"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_any_run(
    arguments: tuple[str, ...], message: str, runs: list[float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tune(tmp_path, *arguments) == 2
    assert message in capsys.readouterr().err
    assert not runs
