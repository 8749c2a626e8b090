"""What a report takes from the runs of a folder."""

from dataclasses import replace
from pathlib import Path

import pytest
from made_up import comparison, result, write

from avalanche_aim.experiments import Failure, Key
from avalanche_aim.experiments.store import Origin
from avalanche_aim.merging import History
from avalanche_aim.report import Report
from avalanche_aim.report.finding import finding, limits
from avalanche_aim.report.origins import about, provenance, settings, title
from avalanche_aim.report.quantities import METRICS, OP, task_score

BWT = METRICS[1]


def test_strategies_stand_by_mean_op(report: Report) -> None:
    means = [report.spread(name, OP).mean for name in report.strategies]  # type: ignore[union-attr]
    assert means == sorted(means, reverse=True) and len(means) == 5


def test_joint_training_has_op_alone(report: Report) -> None:
    assert report.spread("joint", OP) is not None
    assert report.spread("joint", BWT) is None and report.difference("joint", BWT) is None


def test_a_task_is_found_by_its_name_in_every_order(report: Report) -> None:
    values = report.values("naive", task_score("entities"))
    assert values["1", 0] == result("naive").r[-1][0] and values["2", 0] == result("naive", "2").r[-1][-1]


def test_pairs_leave_out_what_either_lacks(report: Report) -> None:
    pairs = {name: report.difference(name, OP).spread.count for name in ("replay", "aim")}  # type: ignore[union-attr]
    assert pairs == {"replay": 5, "aim": 6}
    assert report.difference("naive", OP) is None


def test_missing_runs_are_those_that_others_have(report: Report) -> None:
    assert report.missing == [Key("joint", "2", 2)]


def test_the_baseline_is_naive_if_there_and_must_have_runs(folder: Path, tmp_path: Path) -> None:
    assert Report.read(folder).baseline == "naive"
    assert Report.read(write(tmp_path, [result("aim")])).baseline is None
    with pytest.raises(ValueError, match=r"baseline: expected a strategy with finished runs \(.*\), got 'lwf'"):
        Report.read(folder, "lwf")


def test_a_folder_without_runs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected the folder of a comparison"):
        Report.read(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"status": "finished", "asked": {}, "result": {}}',
                                     '{"status": "failed", "asked": {}, "failure": {"why": 1}}'])  # fmt: skip
def test_a_damaged_run_is_named(tmp_path: Path, content: str) -> None:
    comparison(tmp_path, ("naive",), seeds=1)
    (tmp_path / "runs/naive_order-1_seed-0.json").write_text(content)
    with pytest.raises(ValueError, match=r"naive_order-1_seed-0\.json.*delete it to run it again"):
        Report.read(tmp_path)


def test_settings_that_differ_are_shown_with_their_runs(tmp_path: Path) -> None:
    write(tmp_path, [result("naive")], epochs=1)
    write(tmp_path, [result("aim")], epochs=2, strategies=("aim",), options={"aim": {"preset": "economical"}})
    shown = settings(Report.read(tmp_path).origins)
    assert shown["epochs"] == "differs: 2 (aim, order 1, seed 0); 1 (naive, order 1, seed 0)"
    assert shown["options of aim"] == '{"preset": "economical"}' and shown["model"] == "tiny"


def test_provenance_has_versions_revision_and_machine(report: Report) -> None:
    assert {"torch", "revision", "processor", "python"} <= provenance(report.origins).keys()


def test_the_finding_names_the_best_contender_and_its_interval(report: Report) -> None:
    sentence = finding(report)
    assert sentence.startswith("Apart from joint, which keeps all data of past tasks, aim-replay has the highest mean")
    assert "against naive" in sentence and "rough 95% interval" in sentence and sentence.endswith("which excludes 0.")


def test_the_finding_does_not_tell_apart_what_the_interval_does_not(tmp_path: Path) -> None:
    scores = {"naive": (50.0, 60.0, 40.0), "aim": (55.0, 52.0, 47.0)}
    runs = [result(name, seed=s, r=[[score]], tasks=["a"], single=None)
            for name, values in scores.items() for s, score in enumerate(values)]  # fmt: skip
    sentence = finding(Report.read(write(tmp_path, runs)))
    assert "aim has the highest mean OP, 51.3 ± 4.0 over 3 runs; against naive that is +1.3 points" in sentence
    assert sentence.endswith("which includes 0, so the runs do not tell the two apart.")


def test_one_pair_is_no_evidence(tmp_path: Path) -> None:
    report = Report.read(write(tmp_path, [result("naive"), result("aim")]))
    assert "in a single pair of runs, which cannot be told from chance" in finding(report)
    assert limits(report) == ["One pair of runs a strategy has no interval; more seeds or orders give one."]


def test_equal_scores_and_a_leading_baseline_are_called_so(tmp_path: Path) -> None:
    same = [replace(result("naive"), strategy=name) for name in ("naive", "aim")]
    assert finding(Report.read(write(tmp_path / "same", same))).startswith("All 2 strategies have the same mean OP")
    led = Report.read(write(tmp_path / "led", [result("naive"), result("aim")]), "aim")
    assert finding(led).endswith("no strategy is above the baseline aim.")


def test_a_comparison_of_failures_alone_has_a_report(tmp_path: Path) -> None:
    report = Report.read(write(tmp_path, [Failure("aim", "1", 0, "ValueError: no")]))
    assert finding(report) == "No run has finished; 1 failed."


def test_a_run_that_never_merged_is_named(tmp_path: Path) -> None:
    report = Report.read(write(tmp_path, [result("naive"), result("aim", history=History()), result("aim", seed=1)]))
    assert [str(run.key) for run in report.never_merged] == ["aim, order 1, seed 0"]
    assert "Never merged, so these are runs of training alone: aim, order 1, seed 0." in limits(report)


@pytest.mark.parametrize(
    ("order", "asked", "expected"),
    [
        ("1", {"data": "sample", "model": "tiny"}, "Standard CL (the shipped sample) · order 1 · tiny"),
        ("4", {"benchmark": "long_sequence", "data": "hub", "model": "org/Some-1B"},
         "Long sequence (data from the hub) · order 4 · Some-1B"),
        ("moods,topics", {"data": "/data/my_tasks", "model": "/models/small"}, "my_tasks · moods, topics · small"),
        ("a,b,c,d,e,f", {"data": "own", "model": "tiny"}, "own · a, b, c, d and 2 more · tiny"),
    ],
)  # fmt: skip
def test_the_title_is_that_of_the_data(order: str, asked: dict, expected: str) -> None:
    origin = Origin("naive", order, 0, {"benchmark": "standard_cl", **asked}, {})
    assert title([origin]) == expected


def test_the_title_leaves_out_what_differs(report: Report) -> None:
    other = replace(report.origins[0], asked={**report.origins[0].asked, "model": "another"})
    assert title([*report.origins, other]) == "Standard CL (the shipped sample) · orders 1, 2"


def test_how_much_was_run_is_said_in_a_line(report: Report) -> None:
    assert about(report.origins, report.results) == "5 strategies, seeds 0, 1, 2; 28 finished runs; test data"


def test_the_number_of_evaluated_rows_stands_beside_a_task(report: Report, tmp_path: Path) -> None:
    assert report.counted("news") == "news (n = 104)"
    assert Report.read(write(tmp_path, [result("naive", eval_rows=None)])).counted("news") == "news"
