"""Results on disk."""

import csv
import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from avalanche_aim import LanguageModel, text_benchmark
from avalanche_aim.evaluation import DEFINITIONS
from avalanche_aim.experiments import Result, Settings, output, run
from avalanche_aim.experiments.output import draw_results, write_results
from avalanche_aim.text import TextTask

ResultOf = Callable[..., Result]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def merged(tiny_models: dict[str, LanguageModel], closed_tasks: list[TextTask]) -> Result:
    """Return the result of a real AIM run."""
    model = tiny_models["tiny"]
    benchmark = text_benchmark(closed_tasks, model.tokenizer)
    return run("fixed-interval", model, benchmark, Settings(batch_size=1, memory=4), progress=False)


def contents(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def test_results_hold_every_run_with_its_r(result_of: ResultOf, merged: Result, tmp_path: Path) -> None:
    write_results([result_of(seed=4), merged], tmp_path, {})
    first, second = contents(tmp_path)["runs"]
    assert (first["strategy"], first["seed"], first["tasks"]) == ("naive", 4, ["moods", "topics"])
    assert first["r"] == [[80.0], [60.0, 90.0]]
    assert first["metrics"] == {"OP": 75.0, "BWT": -20.0, "Forgetting": 20.0}
    assert (second["r"], second["merges"]) == (merged.r, merged.merges)


def test_results_say_what_was_asked_for_and_what_the_numbers_mean(result_of: ResultOf, tmp_path: Path) -> None:
    write_results([result_of()], tmp_path, {"order": "2", "memory": 0.02})
    written = contents(tmp_path)
    assert written["configuration"] == {"order": "2", "memory": 0.02}
    assert written["definitions"].items() >= DEFINITIONS.items()
    assert {"torch", "transformers", "avalanche-lib", "avalanche-aim"} <= written["versions"].keys()


def test_what_is_not_a_number_is_null(result_of: ResultOf, tmp_path: Path) -> None:
    numbers = {"OP": 80.0, "BWT": float("nan"), "Forgetting": float("nan")}
    write_results([result_of(r=[[80.0]], metrics=numbers)], tmp_path, {})
    assert contents(tmp_path)["runs"][0]["metrics"] == {"OP": 80.0, "BWT": None, "Forgetting": None}


def test_r_is_a_table_of_its_own_for_each_run(result_of: ResultOf, tmp_path: Path) -> None:
    write_results([result_of(), result_of("replay", 2, [[80.0], [None, 90.0]])], tmp_path, {})
    tables = {}
    for stem in ("naive_seed0", "replay_seed2"):
        with (tmp_path / f"R_{stem}.csv").open(newline="", encoding="utf-8") as file:
            tables[stem] = list(csv.reader(file))
    header = ["after training on", "moods", "topics"]
    assert tables["naive_seed0"] == [header, ["moods", "80.0"], ["topics", "60.0", "90.0"]]
    assert tables["replay_seed2"][2] == ["topics", "", "90.0"]


def test_a_merging_run_has_its_history(merged: Result, tmp_path: Path) -> None:
    write_results([merged], tmp_path, {})
    assert merged.history is not None
    stem = "history_fixed-interval_seed0"
    history = json.loads((tmp_path / f"{stem}.json").read_text(encoding="utf-8"))
    assert len(history["merges"]) == len(merged.history.merges) > 0
    for part, records in (("merges", merged.history.merges), ("iterations", merged.history.iterations)):
        with (tmp_path / f"{stem}_{part}.csv").open(newline="", encoding="utf-8") as file:
            assert [int(row["iteration"]) for row in csv.DictReader(file)] == [r.iteration for r in records]


def test_the_folder_is_made_and_nothing_half_written_stays(result_of: ResultOf, tmp_path: Path) -> None:
    write_results([result_of()], tmp_path / "a" / "b", {})
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == ["R_naive_seed0.csv", "results.json"]


def test_results_that_cannot_be_written_leave_the_earlier_ones(result_of: ResultOf, tmp_path: Path) -> None:
    write_results([result_of()], tmp_path, {})
    with pytest.raises(ValueError, match="JSON"):
        write_results([result_of(minutes=float("nan"))], tmp_path, {})
    assert contents(tmp_path)["runs"][0]["minutes"] == 2.0


def test_plots_are_r_and_the_signals_of_each_merging_run(result_of: ResultOf, merged: Result, tmp_path: Path) -> None:
    files = draw_results([result_of(), merged], tmp_path)
    assert [file.name for file in files] == ["R.png", "signals_fixed-interval_seed0.png"]
    assert all(file.read_bytes().startswith(PNG) for file in files)


def test_r_is_drawn_for_the_first_seed_and_signals_for_all(
    result_of: ResultOf, merged: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(output, "plot_results", lambda results, path: drawn.extend(r.strategy for r in results))
    runs = [result_of("naive", 3), replace(merged, seed=3), result_of("replay", 4), replace(merged, seed=4)]
    names = [path.name for path in draw_results(runs, tmp_path)]
    assert drawn == ["naive", "fixed-interval"]
    assert names == ["R.png", "signals_fixed-interval_seed3.png", "signals_fixed-interval_seed4.png"]


def test_a_single_task_can_be_drawn(result_of: ResultOf, tmp_path: Path) -> None:
    numbers = {"OP": 80.0, "BWT": float("nan"), "Forgetting": float("nan")}
    assert draw_results([result_of(r=[[80.0]], metrics=numbers)], tmp_path)[0].exists()


def test_without_matplotlib_nothing_is_drawn(
    result_of: ResultOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert draw_results([result_of()], tmp_path) == []
    assert list(tmp_path.iterdir()) == []
