"""The examples run as they stand."""

import csv
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

import avalanche_aim

EXAMPLES = Path(avalanche_aim.__file__).parents[1] / "examples"
SMOKE = ["--model", "tiny", "--train-per-task", "16", "--eval-per-task", "4"]
STRATEGIES = ("naive", "replay", "aim")
FILES = {"results.json", "runs", "R.png", "signals_aim_order-1_seed-0.png"}
RUNS = {
    *(f"{name}_order-1_seed-0.json" for name in STRATEGIES),
    *(f"R_{name}_order-1_seed-0.csv" for name in STRATEGIES),
    *(f"history_aim_order-1_seed-0{end}" for end in (".json", "_iterations.csv", "_merges.csv")),
}


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the example once, with a memory that small tasks can fill, and return its folder."""
    folder = tmp_path_factory.mktemp("smoke")
    assert load("standard_cl").main([*SMOKE, "--memory", "4", "--out", str(folder)]) == 0
    return folder


def test_standard_cl_writes_results_histories_and_plots(smoke_run: Path) -> None:
    assert {path.name for path in smoke_run.iterdir()} == FILES
    assert {path.name for path in (smoke_run / "runs").iterdir()} == RUNS


def test_standard_cl_compares_the_default_strategies_on_the_sample(smoke_run: Path) -> None:
    results = json.loads((smoke_run / "results.json").read_text(encoding="utf-8"))
    assert {run["strategy"] for run in results["runs"]} == set(STRATEGIES)
    for run in results["runs"]:
        assert run["tasks"] == ["entities", "reviews", "questions", "news"]
        assert [len(row) for row in run["r"]] == [1, 2, 3, 4]


def test_standard_cl_writes_each_r_twice_alike(smoke_run: Path) -> None:
    for run in json.loads((smoke_run / "results.json").read_text(encoding="utf-8"))["runs"]:
        with (smoke_run / "runs" / f"R_{run['strategy']}_order-1_seed-0.csv").open(
            newline="", encoding="utf-8"
        ) as file:
            rows = [[float(score) for score in row[1:]] for row in list(csv.reader(file))[1:]]
        assert rows == run["r"]


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem != "probe"))
def test_every_example_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        load(name).main(["--help"])
    assert stop.value.code == 0
    assert "usage" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments", "files"),
    [
        ("signals", ["--memory", "4", "--every", "4"], {"signals.png", "history.json"}),
        ("buffer_size", ["--sizes", "4", "--every", "4"], {"buffer_size.png", "buffer_size.csv"}),
        ("schedules", ["--memory", "4", "--strategies", "aim", "single-merge"], {"schedules.png", "results.json"}),
    ],
)
def test_examples_about_the_method_write_their_plot_and_numbers(
    name: str, arguments: list[str], files: set[str], tmp_path: Path
) -> None:
    epochs = ["--batch-size", "4", "--epochs", "2"]
    assert load(name).main([*SMOKE, *epochs, *arguments, "--out", str(tmp_path)]) == 0
    assert files <= {path.name for path in tmp_path.iterdir()}


def test_distributed_runs_in_one_process(capsys: pytest.CaptureFixture[str]) -> None:
    assert load("distributed").main(["--batch-size", "16"]) == 0
    assert "1 processes, 8 iterations" in capsys.readouterr().out
