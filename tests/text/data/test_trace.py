"""TRACE: eight tasks, each scored as its authors score it, but one."""

from pathlib import Path

import pytest
from layout_files import trace as write_task
from layout_files import write

from avalanche_aim import LanguageModel
from avalanche_aim.experiments import Configuration
from avalanche_aim.text import trace
from avalanche_aim.text.data.layouts import detect, read_tasks
from avalanche_aim.text.data.orders import TRACE, canonical

ANSWERS = {
    "C-STANCE": "支持", "FOMC": "dovish", "MeetingBank": "A summary.", "Py150": "return <NUM_LIT:0>",
    "ScienceQA": "A\nBecause it is.", "NumGLUE-cm": "42", "NumGLUE-ds": "7", "20Minuten": "Kurz gesagt.",
}  # fmt: skip
METRICS = {
    "C-STANCE": "exact_match", "FOMC": "exact_match", "MeetingBank": "rouge_l", "Py150": "edit_similarity",
    "ScienceQA": "first_letter", "NumGLUE-cm": "exact_match", "NumGLUE-ds": "exact_match", "20Minuten": "rouge_l",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write all eight tasks, as the published archive has them, and the one it has for replay."""
    for task, answer in {**ANSWERS, "Lima": "Sure."}.items():
        for split in ("train", "eval", "test"):
            records = [{"prompt": f"{task}, {split} {n}:", "answer": answer} for n in range(6)]
            write(tmp_path / task / f"{split}.json", records)
    return tmp_path


def test_the_order_is_that_of_the_published_scripts() -> None:
    assert TRACE["c-stance-first"] == tuple(ANSWERS)


def test_each_task_is_scored_as_published(folder: Path) -> None:
    assert detect(folder).name == "TRACE"
    tasks = read_tasks(folder, TRACE["c-stance-first"])
    assert {task.name: task.metric for task in tasks} == METRICS
    assert [task.name for task in tasks if task.labels is not None] == ["C-STANCE", "FOMC"]
    assert [task.dev[0].prompt for task in tasks] == [f"{name}, eval 0:" for name in ANSWERS]


def test_it_is_a_benchmark(folder: Path, tiny_models: dict[str, LanguageModel]) -> None:
    benchmark = trace(tokenizer=tiny_models["tiny"].tokenizer, data=folder, cache=False)
    assert [experience.task_name for experience in benchmark.train_stream] == list(ANSWERS)


def test_a_comparison_takes_it_by_name(folder: Path) -> None:
    assert Configuration(benchmark="trace", data=str(folder)).orders == ("1",)
    with pytest.raises(ValueError, match="data: expected the folder of the files of trace; got none"):
        Configuration(benchmark="trace")


def test_any_spelling_of_a_task_will_do(tmp_path: Path) -> None:
    (task,) = read_tasks(write_task(tmp_path, "FOMC"), ["fomc"])
    assert task.metric == "exact_match"
    assert canonical("20Minuten") == "20minuten"
