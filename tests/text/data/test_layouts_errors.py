"""Bad input is an error before training, with file, record and remedy."""

import re
import shutil
from pathlib import Path

import pytest
from layout_files import BUILDERS, aimmerging, edit, natural_instructions, olora, plain, trace, write

from avalanche_aim.text.data.layouts import DataWarning, read_tasks

pytestmark = pytest.mark.filterwarnings("ignore::avalanche_aim.text.DataWarning")


def refused(folder: Path, *parts: str, error: type[Exception] = ValueError) -> None:
    """Reading the task must fail with a message that holds all these parts, in this order."""
    with pytest.raises(error, match="(?s)" + ".*".join(map(re.escape, parts))):
        read_tasks(folder, ["reviews"])


@pytest.mark.parametrize("name", BUILDERS)
def test_a_missing_split_lists_what_is_there(name: str, tmp_path: Path) -> None:
    folder = BUILDERS[name](tmp_path)
    for path in folder.rglob("*"):
        if path.name == "test.json" or path.parent.name == "test":
            path.unlink()
    refused(folder, "'reviews'", "test is missing", "found only", "train", "copy", error=FileNotFoundError)


@pytest.mark.parametrize("name", BUILDERS)
def test_a_missing_task_lists_what_is_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"the task 'dbpedia', which is not.*found \['reviews'\]"):
        read_tasks(BUILDERS[name](tmp_path), ["dbpedia"])


def test_all_missing_tasks_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"the tasks 'cb', 'yelp', which are not there.*Copy what is missing"):
        read_tasks(aimmerging(tmp_path), ["cb", "reviews", "yelp"])


def test_an_unknown_layout_says_what_was_looked_for_and_what_is_there(tmp_path: Path) -> None:
    write(tmp_path / "notes.txt", "hello")
    refused(tmp_path, "O-LoRA: CL_Benchmark/<TYPE>", "TRACE", "found notes.txt", error=FileNotFoundError)
    (tmp_path / "notes.txt").unlink()
    refused(tmp_path, "found an empty folder", error=FileNotFoundError)
    refused(tmp_path / "nowhere", "expected a folder", "nowhere", "not there", error=FileNotFoundError)
    refused(write(tmp_path / "data.zip", ""), "expected a folder", "data.zip, which is a file", error=FileNotFoundError)


def test_what_folders_of_an_unknown_layout_hold_is_shown(tmp_path: Path) -> None:
    write(tmp_path / "train/cb.xlsx", "a,b")
    write(tmp_path / "train/rte.xlsx", "a,b")
    (tmp_path / "dev").mkdir()
    refused(tmp_path, "found dev/ (empty), train/ (cb.xlsx, …)", error=FileNotFoundError)


@pytest.mark.parametrize("name", BUILDERS)
def test_a_wrong_encoding_names_the_file(name: str, tmp_path: Path) -> None:
    path = next(path for path in sorted(BUILDERS[name](tmp_path).rglob("*.json*")) if "train" in str(path))
    path.write_bytes(path.read_bytes().replace(b"train text 3", b"train text \xe9"))
    refused(tmp_path, str(path), "expected UTF-8", f"(line {4 if path.suffix == '.jsonl' else 1})", "convert the file")


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("damage", [b"", '[{"input"'.encode("utf-16")], ids=["empty", "UTF-16"])
@pytest.mark.parametrize("which", ["train", ""], ids=["one file", "all files"])
def test_a_damaged_file_is_named_and_does_not_change_the_layout(
    name: str, damage: bytes, which: str, tmp_path: Path
) -> None:
    files = [path for path in BUILDERS[name](tmp_path).rglob("*.json*") if path.name != "labels.json"]
    for path in files:
        if which in str(path.relative_to(tmp_path)):
            path.write_bytes(damage)
    expected = "expected UTF-8" if damage else "got an empty file; copy the file again"
    refused(tmp_path, str(next(path for path in files if "train" in str(path.relative_to(tmp_path)))), expected)


@pytest.mark.parametrize("field", ["input", "output"])
def test_half_a_character_is_refused_before_a_tokenizer_sees_it(field: str, tmp_path: Path) -> None:
    path = aimmerging(tmp_path) / "dev/reviews_T5.json"
    edit(path, lambda records: [*records, {"input": "a", "output": "good", field: "so funny \ud83d"}])
    refused(tmp_path, f"{path}, record 8", f"expected {field!r} to be whole characters", "at place 9", "remove it")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    for path in plain(tmp_path, "{split}/{task}.jsonl").rglob("*.jsonl"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_tasks(tmp_path, ["reviews"])[0].train[0].prompt == "train text 0"


@pytest.mark.parametrize("name", ["AIMMerging", "O-LoRA", "TRACE"])
def test_an_object_where_a_list_is_expected_is_named(name: str, tmp_path: Path) -> None:
    path = next(path for path in sorted(BUILDERS[name](tmp_path).rglob("*.json")) if "test" in str(path))
    edit(path, lambda records: {"Definition": [], "Instances": records})
    refused(tmp_path, str(path), "expected a JSON list of records, got an object", "Instances", "another layout")


def test_one_object_among_lists_does_not_change_how_all_other_files_are_read(tmp_path: Path) -> None:
    path = olora(olora(tmp_path, "NLI/own")) / "CL_Benchmark/NLI/own/train.json"
    edit(path, lambda records: {"data": records})
    assert read_tasks(tmp_path, ["reviews"])
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}: expected a JSON list.*'data'.*write the list alone"):
        read_tasks(tmp_path, ["own"])


def test_a_list_where_an_object_is_expected_is_named(tmp_path: Path) -> None:
    path = natural_instructions(tmp_path) / "CL_Benchmark/Own/reviews/test.json"
    edit(path, lambda data: data["Instances"])
    refused(tmp_path, str(path), "expected an object with Definition and Instances, got a list", "correct it")


@pytest.mark.parametrize(
    ("name", "file", "field"),
    [
        ("AIMMerging", "dev/reviews_T5.json", "output"),
        ("O-LoRA", "CL_Benchmark/SC/reviews/dev.json", "sentence"),
        ("O-LoRA", "CL_Benchmark/SC/reviews/dev.json", "label"),
        ("TRACE", "reviews/eval.json", "answer"),
    ],
)
def test_a_missing_field_is_named_with_its_record(name: str, file: str, field: str, tmp_path: Path) -> None:
    path = BUILDERS[name](tmp_path) / file
    edit(path, lambda records: [{k: v for k, v in r.items() if k != field or n != 2} for n, r in enumerate(records)])
    refused(tmp_path, f"{path}, record 2", f"expected the field {field!r}, got only", "complete or drop the record")


@pytest.mark.parametrize("value", [3, None, True, [], ["a", 3], {"text": "a"}])
def test_an_output_that_is_no_text_is_refused(value: object, tmp_path: Path) -> None:
    path = aimmerging(tmp_path) / "train/reviews_T5.json"
    edit(path, lambda records: [*records, {"input": "text", "output": value}])
    refused(tmp_path, f"{path}, record 8", "expected 'output' to be a text or a list of texts")


@pytest.mark.parametrize("value", ["", "  ", 3, None])
def test_an_input_that_is_empty_or_no_text_is_refused(value: object, tmp_path: Path) -> None:
    path = aimmerging(tmp_path) / "train/reviews_T5.json"
    edit(path, lambda records: [{"input": value, "output": "good"}, *records])
    refused(tmp_path, f"{path}, record 0", "expected 'input' to be a text that is not empty")


def test_a_record_that_is_no_object_is_refused(tmp_path: Path) -> None:
    path = aimmerging(tmp_path) / "train/reviews_T5.json"
    edit(path, lambda records: [*records, "text"])
    refused(tmp_path, f"{path}, record 8", "expected an object, got a text")


def test_malformed_json_is_named_with_its_line(tmp_path: Path) -> None:
    path = write(aimmerging(tmp_path) / "train/reviews_T5.json", '[\n{"input": "a",')
    refused(tmp_path, str(path), "not valid JSON at line 2", "copy it again if it was cut short")


def test_json_lines_in_a_json_file_are_told_their_name(tmp_path: Path) -> None:
    path = write(aimmerging(tmp_path) / "train/reviews_T5.json", '{"input": "a"}\n{"input": "b"}')
    refused(tmp_path, str(path), "not valid JSON at line 2", "name a file of JSON Lines .jsonl")


@pytest.mark.parametrize("content", ["[" * 100_000, "[" + "1" * 5_000 + "]"], ids=["brackets", "digits"])
def test_json_that_python_cannot_hold_is_named_with_its_file(content: str, tmp_path: Path) -> None:
    path = write(aimmerging(tmp_path) / "train/reviews_T5.json", content)
    refused(tmp_path, str(path), "not valid JSON from line 1 on", "copy it again")


def test_a_folder_in_the_place_of_a_file_is_a_missing_split(tmp_path: Path) -> None:
    path = aimmerging(tmp_path) / "test/reviews_T5.json"
    path.unlink()
    path.mkdir()
    refused(tmp_path, "test is missing", error=FileNotFoundError)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: Path, **kwargs: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", closed)
    refused(aimmerging(tmp_path), "train/reviews_T5.json", "Permission denied", "copy the file again", error=OSError)


def test_a_malformed_json_line_is_named(tmp_path: Path) -> None:
    path = plain(tmp_path, "{split}/{task}.jsonl") / "train/reviews.jsonl"
    path.write_text(path.read_text() + "\n\n{broken", encoding="utf-8")
    refused(tmp_path, str(path), "not valid JSON at line 10, column 2")


def test_blank_lines_and_unusual_line_separators_inside_json_lines_are_fine(tmp_path: Path) -> None:
    path = plain(tmp_path, "{split}/{task}.jsonl") / "train/reviews.jsonl"
    path.write_text(path.read_text() + '\n\n{"input": "a\u2028b", "output": "good"}\r\n', encoding="utf-8")
    assert read_tasks(tmp_path, ["reviews"])[0].train[-1].prompt == "a\u2028b"


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_an_empty_split_is_refused(split: str, tmp_path: Path) -> None:
    path = write(aimmerging(tmp_path) / split / "reviews_T5.json", [])
    refused(tmp_path, str(path), "expected at least one record")


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_a_label_that_labels_json_does_not_list_is_refused(split: str, tmp_path: Path) -> None:
    path = olora(tmp_path) / f"CL_Benchmark/SC/reviews/{split}.json"
    edit(path, lambda records: [*records, {"sentence": "text", "label": "awful"}])
    refused(tmp_path, f"{path}, record 8", "'awful' is not in", "labels.json", "['good', 'bad']", "correct the file")


def test_a_label_that_never_occurs_in_training_is_refused(tmp_path: Path) -> None:
    path = aimmerging(tmp_path) / "test/reviews_T5.json"
    edit(path, lambda records: [{"input": "text", "output": "Good"}, *records])
    refused(tmp_path, f"{path}, record 0", "'Good' never occurs in training")


def test_olora_without_labels_json_is_refused(tmp_path: Path) -> None:
    (olora(tmp_path) / "CL_Benchmark/SC/reviews/labels.json").unlink()
    refused(tmp_path, "expected labels.json, found ['dev.json', 'test.json', 'train.json']", error=FileNotFoundError)


@pytest.mark.parametrize("labels", [{"a": 1}, [], [1, 2], ["a", "a"]])
def test_a_labels_json_that_is_no_list_of_labels_is_refused(labels: object, tmp_path: Path) -> None:
    refused(_with_labels(tmp_path, labels), "labels.json", "expected")


def _with_labels(folder: Path, labels: object) -> Path:
    write(olora(folder) / "CL_Benchmark/SC/reviews/labels.json", labels)
    return folder


@pytest.mark.parametrize("one", ["re-views", "REVIEWS"])
def test_two_files_that_are_one_task_are_refused(one: str, tmp_path: Path) -> None:
    aimmerging(aimmerging(tmp_path), one)
    refused(tmp_path, "are one task ('reviews')", "rename or remove")


def test_two_folders_that_are_one_task_are_both_named(tmp_path: Path) -> None:
    olora(olora(tmp_path), "TC/Reviews")
    refused(tmp_path, str(Path("SC/reviews")), str(Path("TC/Reviews")), "are one task")
    shutil.rmtree(tmp_path / "CL_Benchmark")
    plain(plain(tmp_path, "{task}/{split}.json"), "{task}/{split}.jsonl")
    refused(tmp_path, "train.json and", "train.jsonl are one split")


@pytest.mark.parametrize("names", [["reviews", "reviews"], ["Re-views", "reviews"]])
def test_two_names_that_are_one_task_are_refused(names: list[str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected each task once, got .*which are one task; leave one out"):
        read_tasks(aimmerging(tmp_path), names)


def test_a_text_where_a_list_of_names_is_expected_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a list of tasks, got the text 'reviews'; write \['reviews'\]"):
        read_tasks(aimmerging(tmp_path), "reviews")


def test_strict_turns_traps_into_one_error(tmp_path: Path) -> None:
    folder = trace(tmp_path, "reviews")
    shutil.copy(folder / "reviews/eval.json", folder / "reviews/test.json")
    with pytest.warns(DataWarning, match="dev_in_test: 8 of 8 dev rows are 8 of 8 test rows: dev is test"):
        read_tasks(folder, ["reviews"])
    with pytest.raises(ValueError, match=r"(?s)got 1; correct the files, or .*strict=False.*dev_in_test"):
        read_tasks(folder, ["reviews"], strict=True)
