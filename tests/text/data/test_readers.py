"""Files in the AIMMerging layout as text tasks."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from avalanche_aim.text import LONG_SEQUENCE, read_tasks

REAL_LABELS = {
    "agnews": 4,
    "amazon": 5,
    "boolqa": 2,
    "cb": 3,
    "copa": 2,
    "dbpedia": 14,
    "imdb": 2,
    "mnli": 3,
    "multirc": 2,
    "qqp": 2,
    "rte": 2,
    "sst-2": 2,
    "wic": 2,
    "yahoo": 10,
    "yelp": 5,
}


def records(split: str, size: int) -> list[dict[str, str]]:
    return [{"id": str(i), "input": f"{split} text {i}", "output": ("Good", "Bad")[i % 2]} for i in range(size)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two tasks in the AIMMerging layout."""
    for split, size in (("train", 8), ("dev", 2), ("test", 4)):
        (tmp_path / split).mkdir()
        for name in ("sst-2_T5.json", "imdb.json"):
            (tmp_path / split / name).write_text(json.dumps(records(split, size)), encoding="utf-8")
    return tmp_path


def spoil(folder: Path, content: Any, split: str = "test") -> Path:
    path = folder / split / "imdb.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def test_a_task_is_read_with_its_splits_and_labels(folder: Path) -> None:
    (task,) = read_tasks(folder, ["imdb"])
    assert [len(task.split(split)) for split in ("train", "dev", "test")] == [8, 2, 4]
    assert (task.test[1].prompt, task.test[1].references) == ("test text 1", ("Bad",))
    assert task.labels == ("Bad", "Good")


def test_tasks_come_in_the_order_and_under_the_names_asked_for(folder: Path) -> None:
    assert [task.name for task in read_tasks(str(folder), ["imdb", "SST-2"])] == ["imdb", "SST-2"]


@pytest.mark.parametrize("name", ["sst-2", "SST-2", "sst2", "Sst_2"])
def test_a_task_is_found_in_any_spelling(folder: Path, name: str) -> None:
    assert read_tasks(folder, [name])[0].train[0].prompt == "train text 0"


def test_a_home_folder_may_be_written_with_a_tilde(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    assert read_tasks(f"~/{folder.name}", ["imdb"])[0].labels == ("Bad", "Good")


def test_texts_in_any_script_stay_as_they_are(folder: Path) -> None:
    text = "Größe 東京 “quoted” 🙂\n\ttab "
    spoil(folder, [{"input": text, "output": "Good"}])
    assert read_tasks(folder, ["imdb"])[0].test[0].prompt == text


def test_answers_that_do_not_repeat_make_an_open_task(folder: Path) -> None:
    for split in ("train", "dev", "test"):
        answers = [{"input": f"{split} text {i}", "output": f"{split} answer {i}"} for i in range(8)]
        (folder / split / "riddles.json").write_text(json.dumps(answers), encoding="utf-8")
    assert read_tasks(folder, ["riddles"])[0].labels is None


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "nowhere"))):
        read_tasks(tmp_path / "nowhere", ["imdb"])


def test_a_missing_split_is_named_with_what_is_there(folder: Path) -> None:
    shutil.rmtree(folder / "test")
    with pytest.raises(FileNotFoundError, match=r"'imdb'.*test is missing.*train/imdb\.json.*dev/imdb\.json"):
        read_tasks(folder, ["imdb"])


def test_dev_may_be_left_out(folder: Path) -> None:
    shutil.rmtree(folder / "dev")
    assert read_tasks(folder, ["imdb"])[0].dev == ()


def test_a_missing_task_is_named_with_those_that_are_there(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"'agnews'.*\['imdb', 'sst-2'\]"):
        read_tasks(folder, ["imdb", "agnews"])


def test_a_task_that_lacks_one_split_is_named_with_the_split(folder: Path) -> None:
    (folder / "test" / "imdb.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"'imdb'.*test is missing"):
        read_tasks(folder, ["imdb"])


def test_malformed_json_is_named_with_file_and_line(folder: Path) -> None:
    path = spoil(folder, b'[\n{"input": "a", "output": "Good"},\n{"input": ')
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}.*line 3"):
        read_tasks(folder, ["imdb"])


def test_text_that_is_not_utf8_is_named_with_file_and_byte(folder: Path) -> None:
    path = spoil(folder, b'[{"input": "\xe9t\xe9", "output": "Good"}]')
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}.*UTF-8.*byte 12"):
        read_tasks(folder, ["imdb"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"input": "a", "output": "Good"}, "expected a JSON list of records, got an object"),
        ([], "at least one record"),
        (["text"], "record 0.*expected an object"),
        ([*records("test", 2), {"input": "a"}], "record 2.*'output'.*only"),
        (
            [{"output": "Good"}],
            r"expected records with usual fields \(.*input and output.*got \['output'\]; name yours",
        ),
        ([{"input": "a", "output": "Good"}, {"output": "Good"}], "record 1.*'input'"),
        ([*records("test", 1), {"input": "a", "output": 1}], "record 1.*'output'.*got 1"),
        ([{"input": "a", "output": None}], "record 0.*'output'.*None"),
        ([{"input": "a", "output": []}], "record 0.*'output'"),
        ([{"input": 3, "output": "Good"}], "record 0.*'input'.*got 3"),
        ([{"input": " \n", "output": "Good"}], "record 0.*'input'.*not empty"),
        ([*records("test", 3), {"input": "a", "output": "good"}], "record 3.*'good' never occurs in training"),
    ],
)
def test_a_record_that_breaks_the_layout_is_named_with_its_file(folder: Path, content: Any, message: str) -> None:
    path = spoil(folder, content)
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}.*{message}"):
        read_tasks(folder, ["imdb"])


@pytest.mark.real_data
@pytest.mark.filterwarnings("ignore::avalanche_aim.text.DataWarning")
@pytest.mark.parametrize("name", LONG_SEQUENCE["mnli-first"])
def test_each_published_task_is_closed_with_its_number_of_labels(name: str, real_data: Path) -> None:
    (task,) = read_tasks(real_data / "data_longsequence", [name])
    assert len({example.answer for example in task.train}) == REAL_LABELS[name]
    assert {example.answer for example in task.train} == set(task.labels or ()) - {"-"}  # rows without a label
