"""A new user's first session: tasks from a table, from a data set and from chats, trained on one after another."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from avalanche.training import Naive
from avalanche.training.plugins import EvaluationPlugin
from datasets import Dataset, DatasetDict

from avalanche_aim import AIMMergingPlugin, LanguageModel
from avalanche_aim.evaluation import ResultMatrix, text_metrics
from avalanche_aim.text import read_tasks, text_benchmark

Rows = list[dict[str, Any]]


def rows(split: str, answers: tuple[str, str]) -> Rows:
    return [{"text": f"{split} {n} of {answers}", "label": answers[n % 2]} for n in range(8)]


def chats(split: str, answers: tuple[str, str]) -> Rows:
    pairs = [(row["text"], row["label"]) for row in rows(split, answers)]
    return [{"messages": [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}]}
            for ask, answer in pairs]  # fmt: skip


def table(path: Path, records: Rows) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(records[0]))
        writer.writeheader()
        writer.writerows(records)
    return path


@pytest.mark.parametrize("name", ["tiny", "tiny-t5"])
def test_tasks_from_a_table_a_data_set_and_chats_are_one_stream(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = LanguageModel.from_pretrained(name, lora=False)
    data = {
        "mail": {s: table(tmp_path / f"{s}.csv", rows(s, ("urgent", "calm"))) for s in ("train", "test")},
        "moods": DatasetDict({s: Dataset.from_list(rows(s, ("good", "bad"))) for s in ("train", "test")}),
        "chats": {split: chats(split, ("yes", "no")) for split in ("train", "test")},
    }
    benchmark = text_benchmark(read_tasks(data, tokenizer=model.tokenizer), model.tokenizer, cache=False)
    matrix = ResultMatrix()
    strategy = Naive(
        model=model,
        optimizer=torch.optim.AdamW(model.parameters(), lr=5e-3),
        criterion=model.criterion,
        train_mb_size=4,
        train_epochs=8,
        eval_mb_size=8,
        plugins=[AIMMergingPlugin("paper", memory=2)],
        evaluator=EvaluationPlugin(*text_metrics(), matrix, loggers=[]),
    )
    for experience in benchmark.train_stream:
        strategy.train(experience)
        strategy.eval(benchmark.test_stream)
    assert [experience.task_name for experience in benchmark.test_stream] == ["mail", "moods", "chats"]
    if name == "tiny":
        assert matrix.rows[0][0] > 0
