"""The command line that the benchmark examples share."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from avalanche_aim import standard_cl
from avalanche_aim.experiments import Result, command
from avalanche_aim.text import sources

SMALL = ["--model", "tiny", "--train-per-task", "8", "--eval-per-task", "4"]


def call(*arguments: str) -> int:
    return command.compare(standard_cl, command.parser("What it shows.", "1, 2 or 3"), [*SMALL, *arguments])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, result_of: Callable[..., Result]) -> list[tuple[str, Any, Any]]:
    """Put a stand-in in the place of every run; collect what it was asked for."""
    asked: list[tuple[str, Any, Any]] = []

    def run(name: str, model: Any, benchmark: Any, settings: Any, **options: Any) -> Result:
        asked.append((name, benchmark, settings))
        return result_of(name, settings.seed)

    monkeypatch.setattr(command, "run", run)
    return asked


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--order", "7"], "order: expected one of 1, 2, 3"),
        (["--order", "yahoo-last"], "order: expected one of 1, 2, 3"),
        (["--order", "news,news"], "order: expected a list of different tasks"),
        (["--order", "news,weather"], "'weather', which is not there"),
        (["--strategies", "naive", "aimm"], "strategies: expected some of naive, replay, aim"),
        (["--model", "/no/such/model"], "/no/such/model"),
        (["--model", "nobody/no-model"], "nobody/no-model"),
        (["--data", "/no/such/data"], "/no/such/data"),
        (["--memory", "1.5"], "memory: expected a fraction in [0, 1]"),
        (["--memory", "-1"], "memory: expected a count of 0 or more"),
        (["--epochs", "0"], "--epochs: expected 1 or more, got 0"),
        (["--batch-size", "0"], "--batch-size: expected 1 or more, got 0"),
        (["--learning-rate", "0"], "--learning-rate: expected a positive number"),
        (["--learning-rate", "nan"], "--learning-rate: expected a positive number"),
        (["--train-per-task", "0"], "expected at least 1"),
        (["--max-prompt-tokens", "4"], "max_prompt_tokens: expected more than 8, got 4"),
        (["--device", "abacus"], "abacus"),
        (["--out", __file__], __file__),
    ],
)
def test_a_mistake_ends_with_status_two_and_one_clear_line_before_training(
    arguments: list[str],
    message: str,
    runs: list[Any],
    out: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources.hub, "HF_HUB_OFFLINE", True)
    status = call("--out", str(out), *arguments)
    shown = capsys.readouterr()
    assert status == 2
    assert message in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert runs == []
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--memory", "some"], "argument --memory: invalid"),
        (["--stream", "train"], "argument --stream: invalid choice"),
        (["--seeds", "x"], "argument"),
        (["--no-such-option"], "unrecognized arguments"),
    ],
)
def test_what_cannot_be_parsed_ends_with_status_two_and_the_usage(
    arguments: list[str], message: str, runs: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        call(*arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert runs == []


def test_help_lists_the_options_with_their_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        call("--help")
    shown = " ".join(capsys.readouterr().out.split())
    assert stop.value.code == 0
    assert "What it shows." in shown
    assert "naive, replay, aim" in shown
    assert "(default: 0.02)" in shown


def test_every_strategy_runs_with_every_seed(runs: list[Any], out: Path) -> None:
    assert call("--strategies", "naive", "aim", "--seeds", "3", "4", "3", "--out", str(out)) == 0
    assert [(name, settings.seed) for name, _, settings in runs] == [("naive", 3), ("aim", 3), ("naive", 4), ("aim", 4)]


def test_a_strategy_named_twice_runs_once(runs: list[Any], out: Path) -> None:
    call("--strategies", "naive", "aim", "naive", "--out", str(out))
    assert [name for name, *_ in runs] == ["naive", "aim"]


def test_options_reach_the_runs(runs: list[Any], out: Path) -> None:
    options = "--order news,reviews --epochs 3 --batch-size 2 --learning-rate 0.1 --memory 5 --stream dev"
    call("--strategies", "naive", *options.split(), "--out", str(out))
    ((_, benchmark, settings),) = runs
    assert [experience.task_name for experience in benchmark.train_stream] == ["news", "reviews"]
    assert [len(experience.dataset) for experience in benchmark.train_stream] == [8, 8]
    assert [len(experience.dataset) for experience in benchmark.test_stream] == [4, 4]
    chosen = (settings.epochs, settings.batch_size, settings.learning_rate, settings.memory, settings.stream)
    assert chosen == (3, 2, 0.1, 5, "dev")


@pytest.mark.parametrize(("text", "size"), [("8", 8), ("0", 0), ("0.5", 0.5), ("1.0", 1.0), ("1", 1)])
def test_the_memory_is_a_count_or_a_fraction_as_it_is_written(
    text: str, size: float | int, runs: list[Any], out: Path
) -> None:
    call("--strategies", "naive", "--memory", text, "--out", str(out))
    assert runs[0][2].memory == size
    assert type(runs[0][2].memory) is type(size)


def test_results_are_on_disk_after_every_run(
    out: Path, monkeypatch: pytest.MonkeyPatch, result_of: Callable[..., Result]
) -> None:
    def run(name: str, *arguments: Any, **options: Any) -> Result:
        if name == "aim":
            raise RuntimeError("out of memory")
        return result_of(name)

    monkeypatch.setattr(command, "run", run)
    with pytest.raises(RuntimeError, match="out of memory"):
        call("--strategies", "naive", "aim", "--out", str(out))
    written = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert [entry["strategy"] for entry in written["runs"]] == ["naive"]
    assert written["configuration"]["strategies"] == ["naive", "aim"]


def test_the_table_and_the_files_are_shown_at_the_end(
    runs: list[Any], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call("--strategies", "naive", "replay", "--out", str(out))
    shown = capsys.readouterr().out
    assert "| naive " in shown
    assert "| replay " in shown
    assert str(out) in shown
    assert (out / "R.png").exists() == ("R.png" in shown)


def test_shortened_prompts_are_told(runs: list[Any], out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("--strategies", "naive", "--max-prompt-tokens", "40", "--out", str(out))
    assert "prompts are longer than 40 tokens" in capsys.readouterr().out
