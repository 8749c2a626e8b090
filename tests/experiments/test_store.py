"""Runs on disk."""

import csv
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from avalanche_aim.evaluation import DEFINITIONS
from avalanche_aim.experiments import Configuration, Failure, Key, Result, RunStore, store

ResultOf = Callable[..., Result]
ASKED = {"model": "tiny", "epochs": 1, "memory": 0.02, "options": {}}
FAILURE = Failure("ewc", "1", 0, "ValueError: no such thing", "Traceback ...")


@pytest.fixture
def runs(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "a" / "b", defaults=Configuration().of_run(""))


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


# Names


@pytest.mark.parametrize(
    ("order", "name"), [("1", "order-1"), ("yahoo-last", "order-yahoo-last"), ("task_002", "order-task_002")]
)
def test_a_run_s_files_are_named_by_strategy_order_and_seed(order: str, name: str) -> None:
    assert Key("aim", order, 3).stem == f"aim_{name}_seed-3"


@pytest.mark.parametrize("order", ["news,reviews", "../../etc", "a b", "", "C:\\x", "news/reviews", "x" * 41, "a\nb"])
def test_an_odd_order_is_shortened_to_a_name_that_a_file_may_have(order: str) -> None:
    name = Key("aim", order, 3).stem
    assert name.startswith("aim_order-tasks-")
    assert len(name) == len("aim_order-tasks-01234567_seed-3")
    assert not set(name) & set("/\\:, \n")


def test_different_lists_of_tasks_have_different_names() -> None:
    assert Key("aim", "news,reviews", 0).stem != Key("aim", "reviews,news", 0).stem


# One run


def test_a_saved_run_comes_back(runs: RunStore, result_of: ResultOf, merged: Result) -> None:
    for result in (result_of(), merged, result_of("joint", 2, ((), (60.0, 90.0)), single=[50.0, 60.0])):
        runs.save(result, ASKED)
        assert runs.finished(result.key, ASKED) == result


def test_a_run_says_what_was_asked_for_and_where_it_comes_from(runs: RunStore, result_of: ResultOf) -> None:
    runs.save(result_of(), ASKED)
    content = read(runs.runs / "naive_order-1_seed-0.json")
    assert (content["status"], content["asked"]) == ("finished", ASKED)
    assert content["provenance"]["versions"]["torch"]


def test_r_is_a_table_of_its_own(runs: RunStore, result_of: ResultOf) -> None:
    tables = {}
    results = [result_of(), result_of("replay", 2, ((None,), (60.0, 90.0))), result_of("joint", 0, ((), (60.0, 90.0)))]
    for result in results:
        runs.save(result, ASKED)
        path = runs.runs / f"R_{result.key.stem}.csv"
        with path.open(newline="", encoding="utf-8") as file:
            tables[result.strategy] = list(csv.reader(file))
    header = ["after training on", "moods", "topics"]
    assert tables["naive"] == [header, ["moods", "80.0"], ["topics", "60.0", "90.0"]]
    assert tables["replay"] == [header, ["moods", ""], ["topics", "60.0", "90.0"]]
    assert tables["joint"] == [header, ["moods"], ["topics", "60.0", "90.0"]]


def test_a_history_is_kept_as_json_and_as_tables(runs: RunStore, merged: Result) -> None:
    runs.save(merged, ASKED)
    assert merged.history is not None
    for part, records in (("merges", merged.history.merges), ("iterations", merged.history.iterations)):
        with (runs.runs / f"history_aim_order-1_seed-0_{part}.csv").open(newline="", encoding="utf-8") as file:
            assert [int(row["iteration"]) for row in csv.DictReader(file)] == [r.iteration for r in records]


def test_a_run_that_is_not_there_or_of_another_order_or_seed_is_none(runs: RunStore, result_of: ResultOf) -> None:
    assert runs.finished(Key("naive", "1", 0), ASKED) is None
    runs.save(result_of(), ASKED)
    for other in (("aim", "1", 0), ("naive", "2", 0), ("naive", "1", 1)):
        assert runs.finished(Key(*other), ASKED) is None


def test_a_failed_run_is_not_finished(runs: RunStore) -> None:
    runs.save(FAILURE, ASKED)
    assert runs.finished(Key("ewc", "1", 0), ASKED) is None


def test_a_run_that_was_asked_for_something_else_is_refused_with_the_difference(
    runs: RunStore, result_of: ResultOf
) -> None:
    runs.save(result_of(), ASKED)
    with pytest.raises(ValueError, match=r"naive_order-1_seed-0.json .*\(epochs 1, now 3\); choose another folder"):
        runs.finished(Key("naive", "1", 0), {**ASKED, "epochs": 3})
    with pytest.raises(ValueError, match=r"\(options \{\}, now \{'preset': 'economical'\}\)"):
        runs.finished(Key("naive", "1", 0), {**ASKED, "options": {"preset": "economical"}})


def test_a_setting_that_is_newer_than_the_run_had_its_default_then(runs: RunStore, result_of: ResultOf) -> None:
    runs.save(result_of(), ASKED)  # precision is not in it
    assert runs.finished(Key("naive", "1", 0), {**ASKED, "precision": "bf16"}) == result_of()
    with pytest.raises(ValueError, match=r"\(precision 'bf16', now 'fp32'\)"):
        runs.finished(Key("naive", "1", 0), {**ASKED, "precision": "fp32"})


def test_what_json_changes_is_no_difference(runs: RunStore, result_of: ResultOf) -> None:
    runs.save(result_of(), {**ASKED, "sizes": (1, 2)})
    assert runs.finished(Key("naive", "1", 0), {**ASKED, "sizes": (1, 2)}) == result_of()


def test_a_run_counts_only_once_all_its_files_are_there(
    runs: RunStore, merged: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    write = store.write_atomically

    def note(path: Path, content: bytes) -> None:
        written.append(path.name)
        assert written == [path.name] or (runs.runs / "history_aim_order-1_seed-0.json").is_file()
        write(path, content)

    monkeypatch.setattr(store, "write_atomically", note)
    runs.save(merged, ASKED)
    assert written == ["R_aim_order-1_seed-0.csv", "aim_order-1_seed-0.json"]


def test_a_run_that_cannot_be_written_leaves_the_earlier_one(
    runs: RunStore, result_of: ResultOf, tmp_path: Path
) -> None:
    runs.save(result_of(), ASKED)
    broken = result_of()
    with pytest.raises(ValueError, match="JSON"):
        runs.save(replace(broken, cost=replace(broken.cost, minutes=float("nan"))), ASKED)
    assert runs.finished(Key("naive", "1", 0), ASKED) == result_of()
    assert all(not path.name.startswith(".") for path in runs.runs.iterdir())


DAMAGED = {
    "empty": "",
    "cut off": '{"status": "finished", "asked"',
    "not text": "\udcff",
    "a list": "[]",
    "no status": '{"asked": {}, "result": {}}',
    "an unknown status": '{"status": "running", "asked": {}, "result": {}}',
    "no result": '{"status": "finished", "asked": {}}',
    "a result that is none": '{"status": "finished", "asked": {}, "result": []}',
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_an_error_that_names_it(runs: RunStore, result_of: ResultOf, damage: str) -> None:
    runs.save(result_of(), {})
    (runs.runs / "naive_order-1_seed-0.json").write_text(DAMAGED[damage], "utf-8", "surrogateescape")
    for attempt in (lambda: runs.finished(Key("naive", "1", 0), {}), runs.load, lambda: runs.check({})):
        with pytest.raises(ValueError, match=r"naive_order-1_seed-0.json.*delete it to run it again"):
            attempt()


@pytest.mark.parametrize("change", [{"status": {}}, {"asked": {"model": "\ud800"}}, {"provenance": [1]}])
def test_odd_values_are_an_error_that_names_the_file(
    runs: RunStore, result_of: ResultOf, change: dict[str, Any]
) -> None:
    runs.save(result_of(), ASKED)
    path = runs.runs / "naive_order-1_seed-0.json"
    path.write_text(json.dumps({**read(path), **change}))
    for attempt in (runs.load, lambda: runs.finished(Key("naive", "1", 0), {})):
        with pytest.raises(ValueError, match=r"naive_order-1_seed-0.json: expected .*delete it"):
            attempt()


@pytest.mark.parametrize("part", ["result", "history"])
def test_missing_fields_are_an_error_that_names_the_file(runs: RunStore, merged: Result, part: str) -> None:
    runs.save(merged, ASKED)
    run, history = (runs.runs / f"{start}aim_order-1_seed-0.json" for start in ("", "history_"))
    if part == "history":
        history.write_text('{"merges": [{}], "iterations": []}')
    else:
        content = read(run)
        del content["result"]["cost"]
        run.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"aim_order-1_seed-0.json or its history is damaged.*delete it"):
        runs.finished(Key("aim", "1", 0), ASKED)


def test_a_copy_under_another_name_is_refused(runs: RunStore, result_of: ResultOf) -> None:
    for ended, name in ((result_of(), "naive_order-1_seed-0"), (FAILURE, "ewc_order-1_seed-0")):
        runs.save(ended, ASKED)
        copy = runs.runs / f"{name} (copy).json"
        copy.write_bytes((runs.runs / f"{name}.json").read_bytes())
        with pytest.raises(ValueError, match=r"\(copy\).json .*expected the run that the file is named after"):
            runs.load()
        copy.unlink()


@pytest.mark.parametrize("name", ["naive_order-1_seed-0.json", "history_naive_order-1_seed-0.json"])
def test_what_is_no_file_is_refused_without_waiting_for_it(runs: RunStore, result_of: ResultOf, name: str) -> None:
    runs.save(result_of(), ASKED)
    for make in (Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path)):
        (runs.runs / name).unlink(missing_ok=True)
        make(runs.runs / name)
        with pytest.raises((OSError, ValueError), match=r"naive_order-1_seed-0.json.*expected a file"):
            runs.load()
        if (runs.runs / name).is_dir():
            (runs.runs / name).rmdir()


# All runs of a folder


def test_all_runs_are_read(runs: RunStore, result_of: ResultOf, merged: Result) -> None:
    for ended in (result_of(), merged, FAILURE, result_of(seed=1)):
        runs.save(ended, ASKED)
    assert runs.load() == ([merged, result_of(), result_of(seed=1)], [FAILURE])


def test_a_folder_without_runs_is_told(runs: RunStore) -> None:
    with pytest.raises(FileNotFoundError, match=r"expected the folder of a comparison, found no runs/\*.json"):
        runs.load()


def test_a_folder_takes_runs_with_the_same_settings_only(runs: RunStore, result_of: ResultOf) -> None:
    runs.save(result_of(), {**ASKED, "options": {"preset": "economical"}})
    shared = {name: value for name, value in ASKED.items() if name != "options"}
    runs.check(shared)
    with pytest.raises(ValueError, match=r"naive_order-1_seed-0.json .*memory 0.02, now 8"):
        runs.check({**shared, "memory": 8})


def test_a_failed_run_with_other_settings_does_not_stand_in_the_way(runs: RunStore) -> None:
    runs.save(FAILURE, ASKED)
    runs.check({**ASKED, "epochs": 3})


def test_the_summary_gathers_runs_failures_configuration_and_definitions(
    runs: RunStore, result_of: ResultOf, merged: Result
) -> None:
    for ended in (result_of(), merged, FAILURE):
        runs.save(ended, ASKED)
    runs.write_summary({"orders": ["1"], "memory": 0.02})
    written = read(runs.folder / "results.json")
    assert written["runs"] == [json.loads(json.dumps(result.to_dict())) for result in (merged, result_of())]
    assert [(failed["strategy"], failed["error"]) for failed in written["failed"]] == [("ewc", FAILURE.error)]
    assert written["configuration"] == {"orders": ["1"], "memory": 0.02}
    assert written["definitions"].items() >= DEFINITIONS.items()
    assert {"torch", "transformers", "avalanche-lib", "avalanche-aim"} <= written["versions"].keys()
