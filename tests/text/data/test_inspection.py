"""What ``inspect`` says of a folder."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from layout_files import REAL_DATA, aimmerging, edit, natural_instructions, needs_real_data, olora, write

from avalanche_aim.text.data.inspection import Inspection, inspect_folder, table
from avalanche_aim.text.model.tiny import tiny_tokenizer


def test_tasks_splits_sizes_and_labels_are_counted(tmp_path: Path) -> None:
    inspection = inspect_folder(aimmerging(tmp_path, "sst-2", ("Good", "Bad")))
    (task,) = inspection.tasks
    assert (inspection.layout, task.name, task.task, task.metric) == ("AIMMerging", "sst-2", "sst2", "exact_match")
    assert {split: report.rows for split, report in task.splits.items()} == {"train": 8, "dev": 8, "test": 8}
    assert task.splits["train"].labels == {"Good": 4, "Bad": 4}
    assert inspection.errors == []


def test_lengths_are_percentiles_in_characters_words_and_tokens(tmp_path: Path) -> None:
    for split in ("train", "dev", "test"):
        write(tmp_path / split / "own.json", [{"input": "w " * n, "output": "a"} for n in range(1, 101)])
    lengths = inspect_folder(tmp_path, tiny_tokenizer("causal")).tasks[0].splits["train"].lengths
    assert lengths["words"] == {"prompt": [50, 95, 100], "answer": [1, 1, 1]}
    assert lengths["characters"]["prompt"] == [100, 190, 200]
    assert lengths["tokens"]["prompt"][2] >= 100


def test_rows_with_several_references_are_counted(tmp_path: Path) -> None:
    path = natural_instructions(tmp_path) / "CL_Benchmark/Own/reviews/test.json"
    edit(path, lambda data: {**data, "Instances": [{"input": "a", "output": ["good", "fine"]}, *data["Instances"]]})
    assert inspect_folder(tmp_path).tasks[0].splits["test"].references == 1


def test_one_unreadable_task_does_not_hide_the_others(tmp_path: Path) -> None:
    aimmerging(tmp_path)
    write(aimmerging(tmp_path, "other") / "dev/other_T5.json", "[")
    inspection = inspect_folder(tmp_path)
    assert [task.name for task in inspection.tasks] == ["reviews"]
    assert len(inspection.errors) == 1 and "other_T5.json: expected JSON" in inspection.errors[0]
    assert "Cannot be read:\n" in table(inspection)


def test_a_label_that_training_would_refuse_is_an_error_and_hides_nothing(tmp_path: Path) -> None:
    path = aimmerging(tmp_path) / "test/reviews_T5.json"
    edit(path, lambda records: [{"input": "text", "output": "awful"}, *records])
    inspection = inspect_folder(tmp_path)
    assert len(inspection.errors) == 1 and f"{path}, record 0: the label 'awful' never occurs" in inspection.errors[0]
    assert [trap.kind for trap in inspection.traps] == ["untrained_labels"]
    assert inspection.tasks[0].splits["test"].rows == 9


@pytest.mark.parametrize("build", [olora, natural_instructions])
def test_a_label_that_labels_json_does_not_list_is_an_error(build: Callable[[Path], Path], tmp_path: Path) -> None:
    path = next(build(tmp_path).rglob("train.json"))
    write(path.with_name("labels.json"), ["good"])
    (error,) = inspect_folder(tmp_path).errors
    assert f"{path}, record 1: the label 'bad' is not in" in error and "or its labels.json" in error


def test_names_and_labels_that_differ_elsewhere_are_noted(tmp_path: Path) -> None:
    aimmerging(aimmerging(tmp_path, "sst-2", ("Good", "Bad")), "qqp", ("yes", "no"))
    notes = "\n".join(inspect_folder(tmp_path).notes)
    assert "'sst-2' has other names elsewhere (sst-2, sst2, SST-2)" in notes
    assert "'qqp': its labels are no/yes here; published files have True/False or yes/no" in notes
    assert "at most 1,000 rows a task in total" in notes


def test_the_table_names_each_trap_once_with_its_meaning(tmp_path: Path) -> None:
    text = table(inspect_folder(olora(olora(tmp_path), "NLI/own")))
    assert text.count("no_instruction:") == 1 and text.count("ours stands in") == 2
    assert "O-LoRA layout, 2 tasks" in text and "good 4, bad 4" in text and "Cannot be read: none" in text


def test_all_of_it_is_plain_data(tmp_path: Path) -> None:
    data = json.loads(json.dumps(inspect_folder(olora(tmp_path)).as_dict()))
    assert data["tasks"][0]["splits"]["dev"]["rows"] == 8
    assert data["traps"][0]["kind"] == "no_instruction" and data["traps"][0]["meaning"]


def traps_of(inspection: Inspection, kind: str) -> dict[str, str]:
    return {trap.task: trap.detail for trap in inspection.traps if trap.kind == kind}


@pytest.mark.real_data
@needs_real_data
class TestPublishedFiles:
    """Every trap that the published files are known for, as far as the cut test splits show them."""

    def test_aimmerging_long_sequence(self) -> None:
        inspection = inspect_folder(REAL_DATA / "data_longsequence")
        assert len(inspection.tasks) == 15 and not inspection.errors
        overlap = traps_of(inspection, "dev_in_test")
        assert {"agnews", "sst-2", "wic", "cb", "copa", "rte"} <= set(overlap)
        assert "50 of 50 test rows" in overlap["copa"] and "138 of 138 test rows" in overlap["rte"]
        assert list(traps_of(inspection, "foreign_instruction")) == ["copa"]
        assert "6 of 500 dev rows" in traps_of(inspection, "placeholder_labels")["mnli"]
        assert {trap.kind for trap in inspection.traps} == {"dev_in_test", "foreign_instruction", "placeholder_labels"}
        notes = "\n".join(inspection.notes)
        for expected in (
            "1,000 a class",
            "'sst-2' has other names",
            "'boolqa' has other names",
            "True/False or yes/no",
        ):
            assert expected in notes

    def test_aimmerging_superni(self) -> None:
        inspection = inspect_folder(REAL_DATA / "data_superni")
        assert len(inspection.tasks) == 15 and not inspection.errors
        assert len(traps_of(inspection, "dev_in_test")) == 15
        cut = traps_of(inspection, "truncated_labels")
        assert set(cut) == {"task363", "task875", "task1687"} and "5 (a, f, j, l, s) of the task's 6" in cut["task875"]
        assert "6 of 1000 train rows" in traps_of(inspection, "empty_outputs")["task511"]

    def test_olora(self) -> None:
        inspection = inspect_folder(REAL_DATA / "layout_olora")
        assert all("dev is test" in detail for detail in traps_of(inspection, "dev_in_test").values())
        assert set(traps_of(inspection, "dev_in_test")) == set(traps_of(inspection, "no_instruction")) == {"CB", "COPA"}
        assert "1,000 rows a class" in inspection.notes[0]

    def test_sapt(self) -> None:
        inspection = inspect_folder(REAL_DATA / "layout_sapt")
        overlap = traps_of(inspection, "dev_in_test")
        assert len(overlap) == 5 and all("dev is test" in detail for detail in overlap.values())
        assert list(traps_of(inspection, "no_instruction")) == ["copa"]
