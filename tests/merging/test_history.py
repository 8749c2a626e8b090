"""The records of a run, as CSV and JSON."""

import csv
import json
import math
from dataclasses import fields

import pytest
from decisions import DECISION

from avalanche_aim.merging import Finding, History, Merge, MergeRecord, MonitorRecord

BOTH = [Finding("oscillation", "seen", "remedy"), Finding("stagnation", "seen", "remedy")]


def merge_record(losses=(2.0, 1.0, 0.5), merged=True, kept=0.4, findings=()):
    return MergeRecord.of(1, 8, DECISION, list(losses), merged, kept, findings)


def monitor_record(loss=0.7, threshold=None, status="collecting", iteration=1):
    return MonitorRecord(1, iteration, 0.3, loss, threshold, status, status in ("active", "forced"))


@pytest.fixture
def history():
    return History(
        [merge_record(findings=BOTH), merge_record(losses=(), merged=False, kept=None)],
        [monitor_record(), monitor_record(3.0, 1.5, "active", 2), monitor_record(math.nan, 1.5, "skipped", 3)],
    )


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_merge_record_joins_decision_place_and_memory_losses():
    record = merge_record()
    assert (record.experience, record.iteration, record.merged) == (1, 8, True)
    assert (record.memory_loss_before, record.memory_loss_after) == (2.0, 0.5)
    assert all(getattr(record, name) == value for name, value in vars(DECISION).items())


def test_a_merge_records_fields_are_the_place_then_the_decision_then_the_outcome():
    names = [field.name for field in fields(MergeRecord)]
    decided = [field.name for field in fields(Merge)]
    assert names[:2] == ["experience", "iteration"]
    assert names[2 : 2 + len(decided)] == decided
    assert names[2 + len(decided) :] == ["memory_loss_before", "memory_loss_after", "merged", "kept", "diagnosis"]


def test_without_memory_iterations_there_is_no_memory_loss():
    record = merge_record(losses=())
    assert (record.memory_loss_before, record.memory_loss_after) == (None, None)


@pytest.mark.parametrize(
    ("findings", "diagnosis"), [([], ""), (BOTH[:1], "oscillation"), (BOTH, "oscillation+stagnation")]
)
def test_a_merge_record_names_what_was_found(findings, diagnosis):
    assert merge_record(findings=findings).diagnosis == diagnosis


def test_a_new_history_is_empty():
    assert History().to_dict() == {"merges": [], "iterations": [], "notes": []}


def test_two_histories_do_not_share_records():
    History().merges.append(merge_record())
    assert History().merges == []


def test_writing_gives_a_json_and_two_csv_files(history, tmp_path):
    names = [path.name for path in history.write(tmp_path, "run")]
    assert names == ["run.json", "run_merges.csv", "run_iterations.csv"]
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())


def test_the_csv_files_have_a_row_a_record_and_a_column_a_field(history, tmp_path):
    _, merges, iterations = history.write(str(tmp_path))
    assert [row["merged"] for row in rows(merges)] == ["True", "False"]
    assert list(rows(merges)[0]) == list(MergeRecord.__dataclass_fields__)
    assert [row["status"] for row in rows(iterations)] == ["collecting", "active", "skipped"]
    assert [row["historical_loss"] for row in rows(iterations)] == ["0.7", "3.0", "nan"]
    assert list(rows(iterations)[0]) == list(MonitorRecord.__dataclass_fields__)


def test_the_csv_files_of_an_empty_history_have_their_header(tmp_path):
    _, merges, iterations = History().write(tmp_path)
    assert (rows(merges), rows(iterations)) == ([], [])
    assert merges.read_text().startswith("experience,iteration,reason,")
    assert iterations.read_text().startswith("experience,iteration,training_loss,")


def test_share_kept_and_diagnosis_stand_in_the_csv_file(history, tmp_path):
    merges = rows(history.write(tmp_path)[1])
    assert [(row["kept"], row["diagnosis"]) for row in merges] == [("0.4", "oscillation+stagnation"), ("", "")]


def test_a_missing_number_is_an_empty_csv_field(history, tmp_path):
    _, merges, iterations = history.write(tmp_path)
    assert rows(merges)[1]["memory_loss_before"] == ""
    assert rows(iterations)[0]["threshold"] == ""


def test_the_json_file_gives_the_history_back(tmp_path):
    merges = [merge_record(), merge_record(merged=False, kept=None), merge_record(findings=BOTH)]
    history = History(merges, [monitor_record(), monitor_record(3.0, 1.5, "active", 2)])
    path = history.write(tmp_path)[0]
    assert History.from_dict(json.loads(path.read_text(encoding="utf-8"))) == history


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_null_in_json(tmp_path, number):
    path = History([], [monitor_record(number)]).write(tmp_path)[0]
    data = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert data["iterations"][0]["historical_loss"] is None


def test_writing_leaves_the_records_as_they_are(history, tmp_path):
    history.write(tmp_path)
    assert math.isnan(history.iterations[2].historical_loss)


def test_plain_data_gives_the_history_back():
    history = History([merge_record()], [monitor_record()])
    assert History.from_dict(history.to_dict()) == history


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"merges": []},
        {"merges": [], "iterations": [{"loss": 1.0}]},
        {"merges": [{"reason": "interval"}], "iterations": []},
        {"merges": [1], "iterations": []},
        {"merges": None, "iterations": []},
        [],
        "history",
    ],
)
def test_foreign_data_is_refused(data):
    with pytest.raises(ValueError, match=r"expected a history with 'merges' and 'iterations'|history, .* 0: expected"):
        History.from_dict(data)


@pytest.mark.parametrize(
    ("field", "value"),
    [("iteration", "1"), ("iteration", 1.0), ("iteration", None), ("training_loss", "low"), ("training_loss", 10**400),
     ("training_loss", True), ("active", 1), ("status", None), ("status", "\ud800"), ("threshold", [1.0])],
)  # fmt: skip
def test_a_value_of_another_type_is_refused_with_its_field(field, value):
    data = History([merge_record()], [monitor_record()]).to_dict()
    data["iterations"][0][field] = value
    with pytest.raises(ValueError, match=f"history, iteration 0: expected {field} of type"):
        History.from_dict(data)


def test_null_is_a_number_that_was_not_finite():
    data = History([], [monitor_record()]).to_dict()
    data["iterations"][0] |= {"historical_loss": None, "threshold": None}
    (record,) = History.from_dict(data).iterations
    assert math.isnan(record.historical_loss) and record.threshold is None
