"""Data of one's own: tables, objects and chats become the same tasks as files of benchmarks do."""

import csv
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from layout_files import aimmerging, plain, write

from avalanche_aim.text import DataWarning, TextTask, read_tasks
from avalanche_aim.text.data.layouts import detect
from avalanche_aim.text.model.tiny import tiny_tokenizer

SPLITS = ("train", "dev", "test")
Rows = list[dict[str, Any]]


def rows(split: str, prompt: str = "text", answer: str = "label") -> Rows:
    return [{prompt: f'{split} "{n}", or\nmore', answer: ("good", "bad")[n % 2]} for n in range(8)]


def expected(split: str) -> list[tuple[str, str]]:
    return [(row["text"], row["label"]) for row in rows(split)]


def pairs(task: TextTask, split: str) -> list[tuple[str, str]]:
    return [(example.prompt, example.answer) for example in task.split(split)]


def write_csv(path: Path, records: Rows, separator: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(records[0]), delimiter=separator)
        table.writeheader()
        table.writerows(records)
    return path


def write_parquet(path: Path, records: Rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_list(records).to_parquet(path)
    return path


# Tables


@pytest.mark.parametrize(
    "pattern", ["{split}/mail.csv", "mail/{split}.csv", "mail/{split}.parquet", "mail/{split}.tsv"]
)
def test_a_table_is_read_by_split_or_by_task(pattern: str, tmp_path: Path) -> None:
    for split in SPLITS:
        path = tmp_path / pattern.format(split=split)
        if path.suffix == ".parquet":
            write_parquet(path, rows(split))
        else:
            write_csv(path, rows(split), "\t" if path.suffix == ".tsv" else ",")
    (task,) = read_tasks(tmp_path)
    assert (task.name, task.labels, task.metric) == ("mail", ("bad", "good"), "exact_match")
    assert all(pairs(task, split) == expected(split) for split in SPLITS)


def test_semicolons_and_a_byte_order_mark_are_what_spreadsheets_write(tmp_path: Path) -> None:
    for split in SPLITS:
        path = write_csv(tmp_path / f"mail/{split}.csv", rows(split), ";")
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert pairs(read_tasks(tmp_path)[0], "train") == expected("train")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\na,b,c\n", "line 2: expected 2 columns (text, label), got 3; put texts that hold"),
        ("text,text\na,b\n", "expected each column once"),
        ('text,label\n"a,b\n', "line 2: expected CSV, got unexpected end of data"),
        ("text,label\n", "expected at least one record"),
        ("words,mark\na,b\n", "expected records with usual fields"),
    ],
)
def test_a_table_that_is_none_is_refused_with_its_line(content: str, message: str, tmp_path: Path) -> None:
    write_csv(tmp_path / "mail/test.csv", rows("test"))
    path = write(tmp_path / "mail/train.csv", content)
    with pytest.raises(ValueError, match=re.escape(str(path)) + ".*" + re.escape(message)):
        read_tasks(tmp_path)


def test_a_parquet_file_that_is_none_is_refused_and_pyarrow_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(tmp_path / "mail/test.parquet", rows("test"))
    write(tmp_path / "mail/train.parquet", "PAR1 no")
    with pytest.raises(ValueError, match=r"train\.parquet: expected a Parquet file"):
        read_tasks(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"train\.parquet: expected the package pyarrow; pip install"):
        read_tasks(tmp_path)


def test_numbers_of_a_typed_table_are_labels_as_in_a_csv_file(tmp_path: Path) -> None:
    for split in SPLITS:
        write_parquet(tmp_path / f"mail/{split}.parquet", [{"text": f"{split} {n}", "label": n % 2} for n in range(8)])
    assert read_tasks(tmp_path)[0].labels == ("0", "1")
    (task,) = read_tasks(tmp_path, task_settings={"mail": {"labels": {0: "bad", 1: "good"}}})
    assert task.labels == ("bad", "good") and task.train[1].answer == "good"


# Objects


def test_lists_data_sets_frames_and_files_are_read_alike(tmp_path: Path) -> None:
    import pandas

    given = {
        "lists": {split: rows(split) for split in SPLITS},
        "set": DatasetDict({split: Dataset.from_list(rows(split)) for split in SPLITS}),
        "frames": {split: pandas.DataFrame(rows(split)) for split in SPLITS},
        "files": {split: str(write_csv(tmp_path / f"{split}.csv", rows(split))) for split in SPLITS},
    }
    tasks = read_tasks(given)
    assert [task.name for task in tasks] == list(given)
    assert all(pairs(task, split) == expected(split) for task in tasks for split in SPLITS)


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev", "eval"])
def test_dev_has_many_names(name: str, tmp_path: Path) -> None:
    for split in ("train", "test", name):
        write_csv(tmp_path / "split" / split / "mail.csv", rows(split))
        write_csv(tmp_path / "task" / "mail" / f"{split}.csv", rows(split))
    for data in (tmp_path / "split", tmp_path / "task", {"mail": {s: rows(s) for s in ("train", "test", name)}}):
        assert pairs(read_tasks(data)[0], "dev") == expected(name)


def test_class_numbers_of_a_data_set_become_their_names() -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    splits = {split: [{"text": f"{split} {n}", "label": n % 2} for n in range(8)] for split in SPLITS}
    data = DatasetDict({split: Dataset.from_list(rows, features=features) for split, rows in splits.items()})
    assert read_tasks({"mail": data})[0].train[1].answer == "good"
    data["test"] = Dataset.from_list([{"text": "a", "label": -1}], features=features)
    with pytest.raises(ValueError, match=r"task 'mail', test, record 0: expected 'label' to be a text"):
        read_tasks({"mail": data})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Dataset.from_list(rows("train")), "task 'mail': expected its splits.*got Dataset.*train_test_split"),
        ({"train": rows("train"), "unsupervised": []}, "got train, unsupervised; choose the splits"),
        ({"train": rows("train"), "val": [], "dev": []}, "expected train, test and perhaps one of dev, eval, val"),
        ({"train": rows("train"), "test": 3}, "task 'mail', test: expected a file, a list of records"),
        ({"train": rows("train"), "test": []}, "task 'mail', test: expected at least one record"),
        ({"train": rows("train"), "test": ["a"]}, "task 'mail', test, record 0: expected an object"),
    ],
)
def test_objects_that_are_no_splits_are_refused(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_tasks({"mail": given})


def test_a_split_that_is_missing_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="'mail': expected the splits train and test; test is missing"):
        read_tasks({"mail": {"train": rows("train")}})


# Columns


def test_columns_are_named_where_they_are_unusual() -> None:
    data = {"mail": {split: rows(split, "body", "mark") for split in SPLITS}}
    with pytest.raises(ValueError, match=r"got \['body', 'mark'\]; name yours, such as columns="):
        read_tasks(data)
    assert pairs(read_tasks(data, columns={"prompt": "body", "answer": "mark"})[0], "test") == expected("test")


def test_a_prompt_may_be_several_columns_and_blank_ones_are_left_out() -> None:
    records = [{"title": "A", "body": "B", "mark": "x"}, {"title": None, "body": "C", "mark": "y"}]
    data = {"mail": {"train": records, "test": records}}
    with pytest.warns(DataWarning, match="train_in_test"):
        (task,) = read_tasks(data, columns={"prompt": ["title", "body"], "answer": "mark"})
    assert [example.prompt for example in task.train] == ["A\nB", "C"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"prompt": "txt", "answer": "label"}, r"got records without \['txt'\]; there are \['label', 'text'\]"),
        ({"prompt": "text"}, "columns: expected the fields of prompt and answer"),
        ({"prompt": [], "answer": "label"}, "columns: expected"),
        ({"prompt": "text", "answer": "label", "other": "a"}, "columns: expected"),
        ("text", "columns: expected"),
    ],
)
def test_columns_that_are_wrong_are_refused(columns: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_tasks({"mail": {split: rows(split) for split in SPLITS}}, columns=columns)


@pytest.mark.parametrize("layout", ["{split}/{task}.json", "{task}/{split}.jsonl"])
def test_the_instruction_of_alpaca_records_is_part_of_the_prompt(layout: str, tmp_path: Path) -> None:
    for split in SPLITS:
        records = [
            {"instruction": "Urgent?", "input": f"{split} {n}", "output": ("yes", "no")[n % 2]} for n in range(8)
        ]
        records.append({"instruction": f"Is {split} urgent?", "input": "", "output": "yes"})
        path = tmp_path / layout.format(split=split, task="mail")
        write(path, "\n".join(map(json.dumps, records)) if path.suffix == ".jsonl" else records)
    (task,) = read_tasks(tmp_path)
    assert task.train[0].prompt == "Urgent?\ntrain 0" and task.train[-1].prompt == "Is train urgent?"


@pytest.mark.parametrize(("prompt", "answer"), [("text", "label"), ("prompt", "answer"), ("context", "response")])
def test_an_instruction_beside_any_usual_fields_is_part_of_the_prompt(prompt: str, answer: str) -> None:
    records = {split: [{"instruction": "Urgent?", **row} for row in rows(split, prompt, answer)] for split in SPLITS}
    (task,) = read_tasks({"mail": records})
    assert task.train[0].prompt == 'Urgent?\ntrain "0", or\nmore'


def test_fields_that_are_not_used_are_named_once_and_only_if_they_hold_something() -> None:
    more = {"system": "Be kind.", "history": [["a", "b"]], "id": 3, "empty": "", "none": None, "list": []}
    records = {split: [{**row, **more} for row in rows(split, "input", "output")] for split in SPLITS}
    with pytest.warns(DataWarning) as said:
        read_tasks({"mail": records})
    assert [str(w.message).partition(";")[0] for w in said] == ["task 'mail', unused_fields: history, system"]
    with pytest.raises(ValueError, match="unused_fields"):
        read_tasks({"mail": records}, strict=True)
    assert read_tasks({"mail": records}, columns={"prompt": ["system", "input"], "answer": "output"}, strict=True)


# Chats

CHAT = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}<assistant>"


def chats(
    split: str, role: str = "role", content: str = "content", names: tuple[str, ...] = ("user", "assistant")
) -> Rows:
    turns = [((f"{split} {n}", ("yes", "no")[n % 2])) for n in range(8)]
    return [
        {"messages": [{role: name, content: text} for name, text in zip(names, turn, strict=True)]} for turn in turns
    ]


def chat_tokenizer() -> Any:
    tokenizer = tiny_tokenizer("causal")
    tokenizer.chat_template = CHAT
    return tokenizer


def test_all_but_the_last_message_go_through_the_chat_template() -> None:
    (task,) = read_tasks({"mail": {split: chats(split) for split in SPLITS}}, tokenizer=chat_tokenizer())
    assert pairs(task, "train")[1] == ("<user>train 1\n<assistant>", "no") and task.labels == ("no", "yes")


def test_messages_may_be_called_otherwise_and_may_be_many() -> None:
    talk = [{"from": "system", "value": "S"}, {"from": "human", "value": "a"}, {"from": "gpt", "value": "b"},
            {"from": "human", "value": "c"}, {"from": "gpt", "value": "d"}]  # fmt: skip
    splits = {split: [{"conversations": talk}] for split in ("train", "test")}
    with pytest.warns(DataWarning, match="train_in_test"):
        (task,) = read_tasks({"mail": splits}, tokenizer=chat_tokenizer())
    assert pairs(task, "test") == [("<system>S\n<user>a\n<assistant>b\n<user>c\n<assistant>", "d")]
    named = {split: [{"talk": row["messages"]} for row in chats(split)] for split in SPLITS}
    assert read_tasks({"mail": named}, tokenizer=chat_tokenizer(), columns={"messages": "talk"})


def test_the_beginning_of_a_text_is_not_put_there_twice() -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = chat_tokenizer()
    tokenizer.bos_token, tokenizer.chat_template = "</s>", "{{ bos_token }}" + CHAT
    data = {"mail": {split: chats(split) for split in SPLITS}}
    assert read_tasks(data, tokenizer=tokenizer)[0].train[0].prompt.startswith("</s><user>")
    tokenizer._tokenizer.post_processor = TemplateProcessing(single="</s> $A", special_tokens=[("</s>", 1)])
    assert read_tasks(data, tokenizer=tokenizer)[0].train[0].prompt.startswith("<user>")


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "record 0: expected messages of which the last is the assistant's"),
        ([{"role": "user", "content": "a"}], "record 0: expected messages of which the last is the assistant's"),
        ("hello", "record 0: expected messages of which the last is the assistant's"),
        (
            [{"role": "user", "content": ["a"]}, {"role": "assistant", "content": "b"}],
            "with role and content, both text",
        ),
        ([{"role": "robot", "content": "a"}, {"role": "assistant", "content": "b"}], "template takes, got no robots"),
    ],
)
def test_a_chat_that_is_none_is_refused_with_its_record(messages: Any, message: str) -> None:
    tokenizer = chat_tokenizer()
    tokenizer.chat_template = "{% if messages[0]['role'] == 'robot' %}{{ raise_exception('no robots') }}{% endif %}a"
    with pytest.raises(ValueError, match=message):
        read_tasks({"mail": {s: [{"messages": messages}] for s in ("train", "test")}}, tokenizer=tokenizer)


def test_a_chat_needs_a_template() -> None:
    data = {"mail": {split: chats(split) for split in SPLITS}}
    with pytest.raises(
        ValueError, match=r"task 'mail', train: expected a tokenizer with a chat template.*got no tokenizer"
    ):
        read_tasks(data)
    tokenizer = tiny_tokenizer("causal")
    tokenizer.chat_template = None
    with pytest.raises(ValueError, match="got a tokenizer without one"):
        read_tasks(data, tokenizer=tokenizer)


# Folders


def test_what_macos_leaves_beside_the_files_is_none_of_them(tmp_path: Path) -> None:
    aimmerging(tmp_path / "a")
    plain(tmp_path / "b", "{task}/{split}.jsonl")
    for path in [*(tmp_path / "a").rglob("*.json"), *(tmp_path / "b").rglob("*.jsonl")]:
        write(path.with_name(f"._{path.name}"), "\x00\x05")
        write(path.with_name(".DS_Store"), "\x00")
    for folder in ("a", "b"):
        write(tmp_path / folder / "__MACOSX/train/._reviews.json", "\x00")
        write(tmp_path / folder / "__MACOSX/train.json", "\x00")
        assert [task.name for task in read_tasks(tmp_path / folder)] == ["reviews"]
    assert detect(tmp_path / "a").name == "AIMMerging"


def test_without_names_all_tasks_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for task in ("b", "c", "a"):
        plain(tmp_path, "{task}/{split}.jsonl", task)
    assert [task.name for task in read_tasks(tmp_path)] == ["a", "b", "c"]
    write(tmp_path / "tasks.yaml", "c: {}\nb: {metric: rouge_l}\n")
    assert [task.name for task in read_tasks(tmp_path)] == ["c", "b", "a"]
