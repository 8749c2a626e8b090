"""Several commands in one folder share its runs out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forked import command, forked
from staged import Stage

from avalanche_aim.__main__ import main
from avalanche_aim.experiments import Comparison, Failure, Key, RunStore
from avalanche_aim.storage.files import locked

ORDER = "news,reviews"
Compare = Callable[..., Comparison]


def test_what_another_command_is_making_is_left_to_it(stage: Stage, compare: Compare) -> None:
    others: list[Comparison] = []
    stage.during["naive"] = lambda: others.append(compare())
    made = compare()
    assert stage.runs == [Key("naive", ORDER, 0), Key("aim", ORDER, 0)]  # the second by the other
    assert [result.strategy for result in made.results] == ["naive", "aim"]
    assert made.elsewhere == []
    assert [result.strategy for result in others[0].results] == ["aim"]
    assert others[0].elsewhere == [Key("naive", ORDER, 0)]


def test_what_another_command_gave_up_is_run_in_the_end(stage: Stage, compare: Compare, tmp_path: Path) -> None:
    claim = locked(tmp_path / "out" / "runs" / f"{Key('naive', ORDER, 0).stem}.lock", wait=False)
    assert claim.__enter__()
    stage.during["aim"] = lambda: claim.__exit__(None, None, None)
    made = compare()
    assert stage.runs == [Key("aim", ORDER, 0), Key("naive", ORDER, 0)]
    assert made.elsewhere == []


def test_finished_runs_leave_no_locks_and_failed_ones_can_be_made_again(
    stage: Stage, compare: Compare, tmp_path: Path
) -> None:
    stage.errors["naive"] = RuntimeError("broken")
    compare()
    assert [path.name.split("_")[0] for path in (tmp_path / "out" / "runs").glob("*.lock")] == ["naive"]
    stage.errors.clear()
    assert len(compare().results) == 2
    assert list((tmp_path / "out" / "runs").glob("*.lock")) == []


def test_commands_on_several_accelerators_share_a_folder(
    stage: Stage, compare: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare(strategies=("naive",), device="cuda:0")
    made = compare(device="cuda:1")
    assert stage.runs == [Key("naive", ORDER, 0), Key("aim", ORDER, 0)]
    assert [result.strategy for result in made.results] == ["naive", "aim"]


def test_a_failure_that_could_not_be_saved_gives_way_to_what_another_command_finished(
    stage: Stage, compare: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.errors["naive"] = RuntimeError("broken")
    save = RunStore.save

    def full(store: RunStore, ended: Any, asked: Any) -> None:
        if isinstance(ended, Failure):
            raise OSError("no space left")
        save(store, ended, asked)

    monkeypatch.setattr(RunStore, "save", full)

    def other() -> None:
        stage.errors.clear()
        monkeypatch.setattr(RunStore, "save", save)
        compare(strategies=("naive",))

    stage.during["aim"] = other
    made = compare()
    assert [result.strategy for result in made.results] == ["naive", "aim"]
    (path,) = (tmp_path / "out" / "runs").glob("naive_*.json")
    assert json.loads(path.read_text())["status"] == "finished"


def test_a_run_that_another_command_made_with_other_settings_is_kept(
    stage: Stage, compare: Compare, tmp_path: Path
) -> None:
    stage.during["naive"] = lambda: compare(strategies=("aim",), epochs=3)
    made = compare()
    assert [result.strategy for result in made.results] == ["naive"]
    assert [problem for problem in made.problems if "with other settings (epochs 3, now 1)" in problem]
    (path,) = (tmp_path / "out" / "runs").glob("aim_*.json")
    assert json.loads(path.read_text())["asked"]["epochs"] == 3


@pytest.mark.slow
def test_two_processes_make_each_run_once_and_both_show_all_that_is_finished(tmp_path: Path) -> None:
    arguments = [
        *("run", "--model", "tiny", "--precision", "fp32", "--device", "cpu", "--order", ORDER, "--memory", "4"),
        *("--train-per-task", "16", "--eval-per-task", "4", "--batch-size", "4", "--seeds", "0", "1"),
        *("--strategies", "naive", "replay"),
    ]
    both = [forked(command, tmp_path / f"{n}.log", {}, [*arguments, "--out", str(tmp_path / "both")]) for n in (1, 2)]
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert main([*arguments, "--out", str(tmp_path / "alone")]) == 0
    shared, alone = (json.loads((tmp_path / name / "results.json").read_text())["runs"] for name in ("both", "alone"))
    assert len(shared) == 4
    assert [run["r"] for run in shared] == [run["r"] for run in alone]
    assert list((tmp_path / "both" / "runs").glob("*.lock")) == []
