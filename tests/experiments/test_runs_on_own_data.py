"""A comparison on data of one's own: no order, columns, and what is said of tasks."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from avalanche_aim.cli.inspect import main as inspect
from avalanche_aim.cli.run import main as run
from avalanche_aim.experiments import Configuration

ANSWERS = {"ask": ("yes", "no"), "mail": ("urgent", "calm"), "moods": ("good", "bad")}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for task, answers in ANSWERS.items():
        for split in ("train", "test"):
            path = tmp_path / "data" / task / f"{split}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["text", "label"])
                writer.writerows([f"{split} {n} of {task}", answers[n % 2]] for n in range(8))
    return tmp_path / "data"


def orders(data: Path | str | None, *asked: str, **settings: Any) -> tuple[str, ...]:
    return Configuration(data=data and str(data), orders=asked, model="tiny", **settings).orders


def test_without_an_order_all_tasks_of_a_folder_of_ones_own_are_the_stream(data: Path) -> None:
    assert orders(data) == ("ask,mail,moods",)
    (data / "tasks.yaml").write_text("moods: {}\nask: {}\n")
    assert orders(data) == ("moods,ask,mail",)
    assert orders(None) == ("1",)


def test_a_folder_with_a_task_of_the_benchmark_is_the_benchmarks(data: Path) -> None:
    (data / "mail").rename(data / "yahoo")
    assert orders(data) == ("1",)
    assert orders(data, benchmark="long_sequence") == ("4",)


@pytest.mark.parametrize("asked", [["mail", "ask"], ["mail,ask"], ["mail,", "ask"], ["mail", ",", "ask"]])
def test_tasks_are_separated_by_spaces_or_commas(asked: list[str], data: Path) -> None:
    (order,) = orders(data, *asked)
    assert [part for part in order.replace(",", " ").split()] == ["mail", "ask"]


def test_numbers_and_names_of_orders_stay_orders_of_their_own() -> None:
    assert orders(None, "1", "2") == ("1", "2")
    assert orders(None, "yahoo-first", "3") == ("yahoo-first", "3")
    assert orders(None, "news,reviews", "reviews,news") == ("news,reviews", "reviews,news")


def test_what_is_said_of_tasks_is_kept_as_it_is_meant(data: Path, tmp_path: Path) -> None:
    (tmp_path / "said.yaml").write_text("Mail: {labels: {0: calm, 1: urgent}}\n")
    asked = Configuration(
        data=str(data),
        model="tiny",
        task_settings=str(tmp_path / "said.yaml"),
        columns={"prompt": "text", "answer": "label"},
    )
    plain = asked.plain()
    assert plain["task_settings"] == {"mail": {"kind": "closed", "labels": {"0": "calm", "1": "urgent"}}}
    assert plain["columns"] == {"prompt": ["text"], "answer": "label"}
    assert json.loads(json.dumps(plain)) == plain == Configuration.of(plain).plain()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"columns": {"prompt": "text"}}, "columns: expected the fields"),
        ({"task_settings": {"mail": {"kind": "maybe"}}}, "task_settings, task 'mail', kind"),
        ({"task_settings": "no such file"}, "task_settings: expected settings by task.*there is no file"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_loaded(settings: dict[str, Any], message: str, data: Path) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        Configuration(data=str(data), model="tiny", **settings)


def test_a_run_on_a_folder_of_ones_own_needs_no_more_than_the_folder(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments = [
        "--data",
        str(data),
        "--model",
        "tiny",
        "--strategies",
        "naive",
        "--device",
        "cpu",
        "--precision",
        "fp32",
    ]
    said = ["--task-settings", '{"moods": {"kind": "open"}}', "--columns", '{"prompt": "text", "answer": "label"}']
    assert run([*arguments, *said, "--out", str(tmp_path / "out")]) == 0
    assert "| strategy | ask | mail | moods |" in " ".join(capsys.readouterr().out.split())


def test_an_inspection_takes_the_same_words(data: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["--task-settings", '{"moods": {"kind": "open"}}', "--columns", '{"prompt": "text", "answer": "label"}']
    assert inspect([str(data), "--json", *words]) == 0
    closed = {task["name"]: task["closed"] for task in json.loads(capsys.readouterr().out)["tasks"]}
    assert closed == {"ask": True, "mail": True, "moods": False}


def test_the_tiny_model_has_lora_that_learns_from_few_texts_and_says_so() -> None:
    tiny, real = Configuration(model="tiny"), Configuration()
    assert (tiny.lora_alpha, tiny.lora_targets) == (1280, ("all-linear",))
    assert (real.lora_alpha, real.lora_targets, real.lora_settings()) == (32, (), {})
    chosen = Configuration(model="tiny", lora_alpha=16, lora_targets=("q_proj",))
    assert (chosen.lora_alpha, chosen.lora_targets) == (16, ("q_proj",))
    assert Configuration(model="tiny", lora=False).lora_settings() == {}
