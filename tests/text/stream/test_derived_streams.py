"""Streams that Avalanche derives from a text benchmark can be trained and evaluated on like the benchmark's own."""

from typing import Any

import pytest
import torch
from avalanche.benchmarks.scenarios import benchmark_with_validation_stream
from avalanche.benchmarks.scenarios.online import split_online_stream
from avalanche.benchmarks.utils import as_avalanche_dataset
from avalanche.training import Naive
from avalanche.training.plugins import EvaluationPlugin

from avalanche_aim import LanguageModel, TextTask, text_benchmark
from avalanche_aim.evaluation import text_metrics
from avalanche_aim.text import TextExample


def task(name: str, answers: tuple[str, ...], labels: tuple[str, ...] | None) -> TextTask:
    rows = tuple(TextExample(f"{name} {i}:", (answers[i % len(answers)],)) for i in range(12))
    return TextTask(name, rows, (), rows[:2], labels, "exact_match" if labels else "rouge_l")


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel.from_pretrained("tiny")


@pytest.fixture(scope="module")
def benchmark(model: LanguageModel) -> Any:
    tasks = [task("moods", ("bad", "good"), ("bad", "good")), task("words", ("red", "dark blue"), None)]
    return text_benchmark(tasks, model.tokenizer, cache=False)


def strategy_of(model: LanguageModel) -> Naive:
    metrics = EvaluationPlugin(*text_metrics(max_new_tokens=2), loggers=[])
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    return Naive(
        model=model, optimizer=optimizer, criterion=model.criterion, train_mb_size=4, eval_mb_size=8, evaluator=metrics
    )


def test_a_validation_stream_is_scored_with_the_references_of_its_own_rows(
    model: LanguageModel, benchmark: Any
) -> None:
    split = benchmark_with_validation_stream(benchmark, 0.25, shuffle=True, seed=0)
    strategy = strategy_of(model)
    for experience in split.train_stream:
        strategy.train(experience)
    scores = strategy.eval(split.valid_stream)
    data = split.valid_stream[0].dataset
    x, y = (torch.stack([torch.as_tensor(row[part]) for row in data]) for part in (0, 1))
    with torch.no_grad():
        right = model.eval()(x).argmax(1) == y
    (label_accuracy,) = (v for name, v in scores.items() if name.startswith("LabelAccuracy_Exp") and "Exp000" in name)
    assert len(data) == 3
    assert label_accuracy == pytest.approx(right.float().mean().item())
    assert any(name.startswith("TaskScore_Exp/eval_phase/valid_stream") and "Exp001" in name for name in scores)


@pytest.mark.parametrize("boundaries", [False, True])
def test_an_online_stream_is_trained_on(model: LanguageModel, benchmark: Any, boundaries: bool) -> None:
    strategy = strategy_of(model)
    for experience in split_online_stream(benchmark.train_stream, 5, access_task_boundaries=boundaries):
        strategy.train(experience)
    assert strategy.clock.train_iterations == 2 * (2 + 2 + 1)  # 5, 5 and 2 rows of each task, 4 at a time
    assert any(name.startswith("TaskScore_Stream") for name in strategy.eval(benchmark.test_stream))


def test_data_of_no_text_benchmark_are_refused(model: LanguageModel) -> None:
    data = as_avalanche_dataset(torch.utils.data.TensorDataset(torch.zeros(2, 3)))
    with pytest.raises(ValueError, match="expected an experience of a text benchmark"):
        model.adaptation(type("Mine", (), {"dataset": data})())
