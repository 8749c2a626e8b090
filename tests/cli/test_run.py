"""The command line of a comparison."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from avalanche_aim.cli import run as command
from avalanche_aim.evaluation import DEFINITIONS
from avalanche_aim.experiments import STRATEGIES, Configuration, Key, Result, comparison
from avalanche_aim.storage.files import locked
from avalanche_aim.text.model import sources

SMALL = ["--model", "tiny", "--train-per-task", "8", "--eval-per-task", "4", "--device", "cpu"]


def call(*arguments: str, **defaults: Any) -> int:
    return command.compare(command.Parser("What it shows.", **defaults), [*SMALL, *arguments])


def configured(*arguments: str, **defaults: Any) -> Configuration:
    return command.Parser("What it shows.", **defaults).configured(arguments)[0]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, result_of: Callable[..., Result]) -> list[Key]:
    """Put a stand-in in the place of every run, which fails for ewc; collect what ran."""
    asked: list[Key] = []

    def run(key: Key, model: Any, benchmark: Any, settings: Any, **chosen: Any) -> Result:
        asked.append(key)
        if key.strategy == "ewc":
            raise RuntimeError("out of memory")
        return result_of(key.strategy, key.seed, order=key.order)

    monkeypatch.setattr(comparison, "run", run)
    return asked


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], str]:
    """Write a configuration file."""

    def write(text: str) -> str:
        path = tmp_path / "settings.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


# Exit statuses


def test_a_comparison_that_runs_ends_with_status_zero(runs: list[Any], out: Path) -> None:
    assert call("--strategies", "naive", "aim", "--seeds", "3", "4", "3", "--out", str(out)) == 0
    assert runs == [Key(name, "1", seed) for seed in (3, 4) for name in ("naive", "aim")]


def test_a_failed_run_ends_with_status_one_and_its_reason(
    runs: list[Any], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("--strategies", "ewc", "naive", "--out", str(out)) == 1
    shown = capsys.readouterr().out
    assert "ewc, order 1, seed 0 failed: RuntimeError: out of memory" in shown
    assert "| naive " in shown


def test_where_every_run_failed_there_is_no_table(
    runs: list[Any], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("--strategies", "ewc", "--out", str(out)) == 1
    assert "|" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--order", "7"], "order: expected one of 1, 2, 3"),
        (["--order", "yahoo-last"], "order: expected one of 1, 2, 3"),
        (["--order", "news,news"], "order: expected a list of different tasks"),
        (["--order", "news,weather"], "'weather', which is not there"),
        (["--strategies", "naive", "aimm"], "strategies: expected some of naive, replay"),
        (["--options", '{"aim": {"windw": 7}}'], "options of aim: expected some of preset"),
        (["--options", '{"aim": 7}'], "options: expected arguments by strategy"),
        (["--stream", "train"], "stream: expected one of test, dev, got 'train'"),
        (["--benchmark", "glue"], "benchmark: expected one of standard_cl"),
        (["--model", ""], "model: expected"),
        (["--benchmark", "superni"], "data: expected the folder of the files of superni"),
        (["--model", "/no/such/model"], "/no/such/model"),
        (["--model", "nobody/no-model"], "nobody/no-model"),
        (["--data", "/no/such/data"], "/no/such/data"),
        (["--config", "/no/such/file.yaml"], "/no/such/file.yaml"),
        (["--memory", "1.5"], "memory: expected a fraction from 0 to 1"),
        (["--memory", "-1"], "memory: expected a fraction from 0 to 1"),
        (["--epochs", "0"], "epochs: expected an integer of 1 or more, got 0"),
        (["--learning-rate", "nan"], "learning_rate: expected a positive number"),
        (["--train-per-task", "0"], "train_per_task: expected an integer of 1 or more"),
        (["--max-prompt-tokens", "4"], "max_prompt_tokens: expected more than 8, got 4"),
        (["--device", "abacus"], "device: expected one that torch can use here, such as cpu, got 'abacus'"),
        (["--device", "meta"], "device: expected one that torch can use here, such as cpu, got 'meta'"),
        (["--config", str(Path(__file__).parent)], "cli: expected a file of settings, got Is a directory"),
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
        (["--memory", "some"], "argument --memory: expected a fraction from 0 to 1"),
        (["--options", "[]"], "argument --options: expected arguments by strategy"),
        (["--recipe", "mine"], "argument --recipe: invalid choice"),
        (["--seeds", "x"], "argument"),
        (["--options", "{"], "argument --options: expected arguments by strategy"),
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


def test_other_settings_in_the_folder_end_with_status_two(
    runs: list[Any], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call("--strategies", "naive", "--out", str(out))
    assert call("--strategies", "naive", "--epochs", "3", "--out", str(out)) == 2
    assert "epochs 1, now 3" in capsys.readouterr().err
    assert len(runs) == 1


def test_strict_makes_a_trap_in_the_data_an_error(
    runs: list[Any], out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "dev", "test"):
        for task in ("own", "other"):
            path = tmp_path / "data" / split / f"{task}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            start = "test" if split == "dev" else split  # dev is test
            rows = [{"input": f"{task} {start} {n}", "output": "ab"[n % 2] * 2} for n in range(8)]
            path.write_text(json.dumps(rows))
    asked = ["--data", str(tmp_path / "data"), "--order", "own,other", "--strategies", "naive", "--out", str(out)]
    assert call(*asked, "--strict") == 2
    assert "dev is test" in capsys.readouterr().err
    with pytest.warns(UserWarning, match="dev is test"):
        assert call(*asked) == 0


# Settings


def test_arguments_are_settings() -> None:
    options = "--order 2 news,reviews --epochs 3 --batch-size 2 --learning-rate 0.1 --memory 5 --stream dev --fwt"
    made = configured(*options.split(), "--strategies", "ewc", "--options", '{"ewc": {"ewc_lambda": 10}}')
    assert made.orders == ("2", "news,reviews")
    assert (made.epochs, made.batch_size, made.learning_rate, made.memory) == (3, 2, 0.1, 5)
    assert (made.stream, made.fwt, made.strategies) == ("dev", True, ("ewc",))
    assert made.options == {"ewc": {"ewc_lambda": 10}}


@pytest.mark.parametrize(("text", "size"), [("8", 8), ("0", 0), ("0.5", 0.5), ("1.0", 1.0), ("1", 1)])
def test_the_memory_is_a_count_or_a_fraction_as_it_is_written(text: str, size: float | int) -> None:
    made = configured("--memory", text)
    assert (made.memory, type(made.memory)) == (size, type(size))


def test_without_arguments_it_is_the_default_configuration() -> None:
    assert configured() == Configuration()


def test_an_example_has_its_own_defaults() -> None:
    made = configured("--data", "hub", benchmark="long_sequence", max_prompt_tokens=160)
    assert (made.benchmark, made.orders, made.max_prompt_tokens) == ("long_sequence", ("4",), 160)


def test_the_default_order_is_the_benchmark_s() -> None:
    assert configured("--benchmark", "long_sequence", "--data", "hub").orders == ("4",)


def test_long_sequence_needs_data() -> None:
    with pytest.raises(ValueError, match="data: expected the folder of the files of long_sequence"):
        configured(benchmark="long_sequence")


# Configuration files


def test_a_file_gives_settings(file: Callable[[str], str]) -> None:
    text = "epochs: 3\nseeds: [1, 2]\norders: 2\nmemory: 0.1\nstrategies: aim\nfwt: true\n"
    text += "options: {aim: {preset: economical}}\n"
    made = configured("--config", file(text))
    assert (made.epochs, made.seeds, made.orders, made.memory, made.fwt) == (3, (1, 2), ("2",), 0.1, True)
    assert (made.strategies, made.options) == (("aim",), {"aim": {"preset": "economical"}})


def test_the_command_line_wins_over_the_file(file: Callable[[str], str]) -> None:
    path = file("epochs: 3\nseeds: [1, 2]\nfwt: true\nbatch_size: 2\n")
    made = configured("--epochs", "1", "--config", path, "--seed", "7", "--no-fwt")
    assert (made.epochs, made.seeds, made.fwt, made.batch_size) == (1, (7,), False, 2)


def test_the_command_line_completes_the_file(file: Callable[[str], str]) -> None:
    path = file("benchmark: long_sequence\noptions: {ewc: {ewc_lambda: 10}}\n")
    made = configured("--config", path, "--data", "hub", "--strategies", "ewc")
    assert (made.benchmark, made.data, made.orders) == ("long_sequence", "hub", ("4",))


def test_a_small_number_may_be_written_without_a_point(file: Callable[[str], str]) -> None:
    assert configured("--config", file("learning_rate: 1e-3\n")).learning_rate == 0.001  # YAML takes it for text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch: 3\n", r"settings.yaml: unknown epoch; expected some of batch_size, .*epochs"),
        ("1: 3\n", r"settings.yaml: unknown 1;"),
        ("- epochs\n", "settings.yaml: expected settings such as 'epochs: 3', got list"),
        ("", "settings.yaml: expected settings such as 'epochs: 3', got NoneType"),
        ("epochs: [3\n", "settings.yaml: expected YAML: "),
        ("epochs: [3]\n", r"epochs: expected an integer of 1 or more, got \[3\]"),
        ("benchmark: long_sequence\n", "data: expected the folder of the files of long_sequence"),
        ("strict: 'no'\n", "strict: expected true or false, got 'no'"),
        ("options: {aim: 3}\n", "options: expected arguments by strategy"),
        ("model: !!python/name:os.system\n", r"settings.yaml: expected YAML: expected plain values, got a tag"),
        ("seeds: &a [0]\norders: *a\n", r"settings.yaml: .*an alias \(\*\) in line 2"),
        ("epochs: 1\nepochs: 2\n", "settings.yaml: .*expected each setting once, got 'epochs' twice"),
        ("options: {aim: {seed: 1, seed: 2}}\n", "expected each setting once, got 'seed' twice"),
        ("epochs: 2026-99-99\n", "settings.yaml: expected YAML: month must be"),
        ("epochs: " + "[" * 30_000, "settings.yaml: .*expected at most 20 levels"),
    ],
)
def test_a_file_with_something_else_in_it_is_refused(text: str, message: str, file: Callable[[str], str]) -> None:
    with pytest.raises(ValueError, match=message):
        configured("--config", file(text))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"settings.yaml: expected YAML"):
        configured("--config", str(tmp_path / "settings.yaml"))


def test_options_that_are_thousands_of_brackets_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        configured("--options", "[" * 100_000)
    assert "--options" in capsys.readouterr().err


# What is shown


def test_help_lists_strategies_and_options_with_their_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        call("--help")
    shown = " ".join(capsys.readouterr().out.split())
    assert stop.value.code == 0
    assert "What it shows." in shown
    assert all(name in shown.replace("- ", "-") for name in STRATEGIES)
    assert "(default: 0.02)" in shown


def test_the_table_and_the_files_are_shown_at_the_end(
    runs: list[Any], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call("--strategies", "naive", "replay", "--out", str(out))
    shown = capsys.readouterr().out
    assert "| naive " in shown
    assert "| replay " in shown
    assert str(out) in shown
    assert (out / "R.png").exists() == ("R.png" in shown)


def test_every_order_has_a_table_of_its_own(runs: list[Any], out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("--strategies", "naive", "--orders", "1", "2", "news,reviews", "--out", str(out))
    shown = capsys.readouterr().out
    assert [line.split(":")[0] for line in shown.splitlines() if line.startswith("Order")] == [
        "Order 1",
        "Order 2",
        "Order news,reviews",
    ]
    assert shown.count("| naive ") == 3


def test_a_finished_comparison_is_shown_again(runs: list[Any], out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("--strategies", "naive", "--out", str(out))
    first = capsys.readouterr().out
    assert call("--strategies", "naive", "--out", str(out)) == 0
    assert capsys.readouterr().out == first
    assert len(runs) == 1


def test_what_other_commands_are_still_making_is_told(
    runs: list[Any], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with locked(out / "runs" / "naive_order-1_seed-0.lock", wait=False):
        assert call("--strategies", "naive", "replay", "--out", str(out)) == 0
    assert runs == [Key("replay", "1", 0)]
    assert f"making 1 of these runs in {out}" in " ".join(capsys.readouterr().out.split())


def test_shortened_prompts_are_told(runs: list[Any], out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("--strategies", "naive", "--max-prompt-tokens", "40", "--out", str(out))
    assert "prompts are longer than 40 tokens" in capsys.readouterr().out


@pytest.mark.parametrize("asked", [True, False])
def test_forward_transfer_is_reported_where_it_is_asked_for(
    asked: bool, out: Path, own_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--strategies", "naive", "--order", "news,reviews", "--out", str(out)]
    assert call(*arguments, *(["--fwt"] if asked else [])) == 0
    table = capsys.readouterr().out
    written = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert ("FWT |" in table, "trained on task j alone" in table) == (asked, asked)
    assert ("FWT" in written["runs"][0]["metrics"], (own_cache / "single_task").exists()) == (asked, asked)
    assert written["definitions"]["FWT"] == DEFINITIONS["FWT"]
