"""MMLU-Pro as a stream of its domains, from a folder in the Hub's layout or from the Hub itself."""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from avalanche_aim import LanguageModel
from avalanche_aim.text import mmlu_pro
from avalanche_aim.text.data.hub import read_hub_task
from avalanche_aim.text.data.layouts import detect, read_tasks
from avalanche_aim.text.data.layouts.mmlu_pro import LETTERS, ROWS, domain_records
from avalanche_aim.text.data.orders import MMLU_PRO

DOMAINS = tuple(name.replace("-", " ") for name in MMLU_PRO["biology-first"])
pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def rows(count: int = 50, domains: tuple[str, ...] = ("law", "computer science")) -> list[dict[str, Any]]:
    """Return made-up rows with the fields of the published data; some questions have fewer options."""
    return [
        {
            "question_id": n,
            "question": f"What of {domain} is {n}?",
            "options": [f"answer {m}" for m in range(10 - n % 3)],
            "answer": LETTERS[n % 7],
            "answer_index": n % 7,
            "cot_content": "",
            "category": domain,
            "src": "made up",
        }
        for domain in domains
        for n in range(count)
    ]


def write(folder: Path, file: str = "data/test-00000-of-00001.parquet", made: Any = None) -> Path:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    made = rows() if made is None else made
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(made), path)
    else:
        path.write_text("\n".join(map(json.dumps, made)), encoding="utf-8")
    return folder


@pytest.mark.parametrize("file", ["data/test-00000-of-00001.parquet", "test.parquet", "test.jsonl"])
def test_each_domain_is_a_task_of_multiple_choice(file: str, tmp_path: Path) -> None:
    folder = write(tmp_path, file)
    assert detect(folder).name == "MMLU-Pro"
    law, computers = read_tasks(folder, ["law", "Computer Science"])
    for task in (law, computers):
        assert (len(task.train), len(task.dev), len(task.test)) == (35, 5, 10)
        assert (task.labels, task.metric) == (LETTERS, "exact_match")
    example = next(e for e in law.train if e.prompt.startswith("What of law is 2?\n"))
    assert (
        example.prompt == "What of law is 2?\n" + "".join(f"{LETTERS[m]}. answer {m}\n" for m in range(8)) + "Answer:"
    )
    assert example.answer == "C"


def test_the_rows_of_examples_to_show_are_left_out(tmp_path: Path) -> None:
    write(write(tmp_path), "data/validation-00000-of-00001.parquet", rows(5))
    (task,) = read_tasks(tmp_path, ["law"])
    assert len(task.train) + len(task.dev) + len(task.test) == 50


def test_the_split_is_by_hash_whatever_the_order_of_the_rows() -> None:
    made = rows()
    shuffled = random.Random(1).sample(made, len(made))
    assert domain_records(made, "here") == domain_records(shuffled, "here")
    splits = domain_records(made, "here")["law"]
    prompts = [record["prompt"] for records in splits.values() for record in records]
    assert len(set(prompts)) == 50


def test_a_large_domain_has_a_thousand_rows() -> None:
    splits = domain_records(rows(ROWS + 100, ("math",)), "here")["math"]
    assert {split: len(records) for split, records in splits.items()} == {"train": 700, "dev": 100, "test": 200}


@pytest.mark.parametrize(
    "change",
    [
        {"answer": "K"},
        {"answer": "J"},
        {"answer": "AB"},
        {"options": []},
        {"options": None},
        {"options": ["yes", 1]},
        {"question": None},
        {"category": None},
    ],
)
def test_a_row_that_is_something_else_is_named(change: dict[str, Any]) -> None:
    made = rows(3)
    made[2] |= change
    with pytest.raises(ValueError, match=r"here, row 2: expected a question, up to 10 options, the letter"):
        domain_records(made, "here")


def test_a_damaged_table_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, "test.parquet") / "test.parquet"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(str(tmp_path))):
        read_tasks(tmp_path, ["law"])


def test_the_hub_gives_the_same_tasks_as_a_folder(tmp_path: Path) -> None:
    asked = []

    def load(path: str, split: str) -> Any:
        asked.append((path, split))
        return rows()

    assert [read_hub_task("computer-science", load)] == read_tasks(write(tmp_path), ["computer-science"])
    assert asked == [("TIGER-Lab/MMLU-Pro", "test")]
    with pytest.raises(ValueError, match="expected the domain 'math', got law, computerscience"):
        read_hub_task("math", load)


def test_its_order_has_the_fourteen_domains() -> None:
    assert len(set(DOMAINS)) == 14


def test_it_is_a_benchmark(tmp_path: Path, tiny_models: dict[str, LanguageModel]) -> None:
    folder = write(tmp_path, made=rows(20, DOMAINS))
    benchmark = mmlu_pro(tokenizer=tiny_models["tiny"].tokenizer, data=folder, train_per_task=4, cache=False)
    assert [e.task_name for e in benchmark.train_stream] == list(MMLU_PRO["biology-first"])
    assert {len(e.dataset) for e in benchmark.train_stream} == {4}
