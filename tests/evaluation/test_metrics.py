"""Avalanche metric plugins for language models on text streams."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.models import DynamicModule
from torch import Tensor, nn

from avalanche_aim import LanguageModel, text_benchmark
from avalanche_aim.evaluation import ExactMatch, LabelAccuracy, ResultMatrix, TaskScore, text_metrics
from avalanche_aim.text import TextTask, generate
from avalanche_aim.text.model.scoring import AnswerScores, with_matches
from avalanche_aim.text.model.tiny import tiny_tokenizer

Strategy = Callable[..., Any]
EXPERIENCE = "{}_Exp/eval_phase/test_stream/Task000/Exp{:03d}"
STREAM = "{}_Stream/eval_phase/test_stream/Task000"


class Scripted(DynamicModule):
    """A model that answers as many examples of each task right as a table says.

    :param right: for each task trained so far (row), how many of each task's first examples are right (column).
    """

    def __init__(self, right: list[list[int]]) -> None:
        super().__init__()
        self.right, self.trained, self.seen = right, -1, 0
        self.tokenizer, self.is_causal = tiny_tokenizer("causal"), True
        self.weight = nn.Parameter(torch.zeros(1))
        self.answers: Any = None

    def adaptation(self, experience: Any) -> None:
        self.answers, self.seen = experience.answers, 0

    def forward(self, x: Tensor) -> Tensor:
        rows = torch.arange(self.seen, self.seen + len(x))
        self.seen += len(x)
        scores = (self.weight + torch.zeros(len(x), len(self.answers))).log_softmax(1)
        return with_matches(AnswerScores(scores, rows < self.right[self.trained][int(x[0, 0])]))


@pytest.fixture(scope="module")
def four_each(closed_tasks: list[TextTask]) -> Any:
    """Return a benchmark of two tasks with four test examples each."""
    return text_benchmark([replace(task, test=task.test[:4]) for task in closed_tasks], tiny_tokenizer("causal"))


@pytest.fixture
def scripted(strategy_of: Strategy) -> Callable[..., tuple[Any, ResultMatrix]]:
    """Make a strategy around a scripted model, with a ResultMatrix."""

    def make(right: list[list[int]], **arguments: Any) -> tuple[Any, ResultMatrix]:
        matrix = ResultMatrix()
        return strategy_of(Scripted(right), matrix, **arguments), matrix

    return make


def train(strategy: Any, experience: Any) -> None:
    strategy.model.trained += 1
    strategy.train(experience)


def published(results: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in results.items() if name.endswith("/test_stream")}


# Exact match and label accuracy


@pytest.mark.parametrize("batch", [1, 5, 64])
def test_exact_match_is_the_share_of_greedy_answers_that_are_right(
    trained: tuple[LanguageModel, Any], strategy_of: Strategy, rows: Callable[..., Tensor], batch: int
) -> None:
    model, benchmark = trained
    moods, names = (experience.task for experience in benchmark.test_stream)
    benchmark = text_benchmark([moods, replace(names, test=names.test[:7])], model.tokenizer)
    right = [
        [text == e.answer for text, e in zip(generate(model, rows(exp), 16), exp.task.test, strict=True)]
        for exp in benchmark.test_stream
    ]
    strategy = strategy_of(model, ExactMatch("experience"), ExactMatch("stream"), eval_mb_size=batch)
    results = strategy.eval(benchmark.test_stream)
    for number, matches in enumerate(right):
        assert results[EXPERIENCE.format("ExactMatch", number)] == pytest.approx(np.mean(matches))
    assert results[STREAM.format("ExactMatch")] == pytest.approx(np.mean(right[0] + right[1]))


@pytest.mark.parametrize("batch", [1, 5, 64])
def test_label_accuracy_is_the_share_of_examples_whose_label_is_the_most_probable_of_its_task(
    adapted: tuple[LanguageModel, Any], strategy_of: Strategy, own_loss: Callable[..., Tensor], batch: int
) -> None:
    model, benchmark = adapted
    model.eval()
    right = []
    for task in (experience.task for experience in benchmark.test_stream[:2]):
        losses = [[float(own_loss(model, e.prompt, label)) for label in task.labels] for e in task.test]
        right.append([task.labels[int(np.argmin(row))] == e.answer for row, e in zip(losses, task.test, strict=True)])
    strategy = strategy_of(model, LabelAccuracy("experience"), LabelAccuracy("stream"), eval_mb_size=batch)
    results = strategy.eval(benchmark.test_stream)
    for number, matches in enumerate(right):
        assert results[EXPERIENCE.format("LabelAccuracy", number)] == pytest.approx(np.mean(matches))
    assert 0.0 < np.mean(right[0] + right[1]) < 1.0
    assert results[STREAM.format("LabelAccuracy")] == pytest.approx(np.mean(right[0] + right[1]))


def test_label_accuracy_compares_the_labels_of_the_task_alone(
    adapted: tuple[LanguageModel, Any], strategy_of: Strategy
) -> None:
    model, benchmark = adapted
    accuracies = []
    for score_all_labels in (False, True):
        model.score_all_labels = score_all_labels
        results = strategy_of(model, LabelAccuracy("stream")).eval(benchmark.test_stream)
        accuracies.append(results[STREAM.format("LabelAccuracy")])
    assert accuracies[0] == accuracies[1]


def test_an_open_task_has_no_label_accuracy(adapted: tuple[LanguageModel, Any], strategy_of: Strategy) -> None:
    model, benchmark = adapted
    results = strategy_of(model, LabelAccuracy("experience")).eval(benchmark.test_stream)
    assert [name for name in sorted(results) if name.startswith("LabelAccuracy")] == [
        EXPERIENCE.format("LabelAccuracy", number) for number in (0, 1)
    ]


class Constant(nn.Module):
    """A model of another kind, which gives every class the same score."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(1, 6))

    def forward(self, x: Tensor) -> Tensor:
        return self.scores.expand(len(x), -1).log_softmax(1)


@pytest.mark.parametrize("metric", [ExactMatch, LabelAccuracy, TaskScore, lambda level: ResultMatrix()])
def test_another_kind_of_model_is_refused_by_its_name(
    metric: Callable[..., Any], strategy_of: Strategy, four_each: Any
) -> None:
    strategy = strategy_of(Constant(), metric("stream"))
    strategy.train(four_each.train_stream[0])
    with pytest.raises(TypeError, match="expected the strategy's model to be a LanguageModel, got Constant"):
        strategy.eval(four_each.test_stream)


# The R matrix


def test_r_is_the_exact_match_in_percent_after_each_task(scripted: Callable[..., Any], four_each: Any) -> None:
    strategy, matrix = scripted([[2, 1], [1, 4]], eval_mb_size=3)
    for experience in four_each.train_stream:
        train(strategy, experience)
        strategy.eval(four_each.test_stream)
    assert matrix.rows == [[50.0, 25.0], [25.0, 100.0]]
    np.testing.assert_array_equal(matrix.result(), [[50, 25], [25, 100]])


def test_a_score_is_right_to_the_last_digit(scripted: Callable[..., Any], closed_tasks: list[TextTask]) -> None:
    task = closed_tasks[0]
    benchmark = text_benchmark([replace(task, test=task.test[:3])], tiny_tokenizer("causal"))
    strategy, matrix = scripted([[2]])
    train(strategy, benchmark.train_stream[0])
    strategy.eval(benchmark.test_stream)
    assert matrix.rows == [[pytest.approx(200 / 3, rel=1e-12)]]


def test_performance_and_transfer_are_published_after_each_task(scripted: Callable[..., Any], four_each: Any) -> None:
    strategy, _ = scripted([[2, 1], [1, 4]])
    train(strategy, four_each.train_stream[0])
    assert published(strategy.eval(four_each.test_stream)) == {"OP/test_stream": 50.0}
    train(strategy, four_each.train_stream[1])
    assert published(strategy.eval(four_each.test_stream)) == {
        "OP/test_stream": 62.5,
        "BWT/test_stream": -25.0,
        "Forgetting/test_stream": 25.0,
    }


def test_values_are_published_at_the_training_iteration(scripted: Callable[..., Any], four_each: Any) -> None:
    strategy, _ = scripted([[2, 1], [1, 4]], train_epochs=3)
    for experience in four_each.train_stream:
        train(strategy, experience)
        strategy.eval(four_each.test_stream)
    assert strategy.evaluator.get_all_metrics()["OP/test_stream"][0] == [6, 12]  # 3 epochs of 8 examples by fours


def test_evaluating_the_tasks_seen_so_far_is_enough(scripted: Callable[..., Any], four_each: Any) -> None:
    strategy, matrix = scripted([[2, 1], [1, 4]])
    for number, experience in enumerate(four_each.train_stream):
        train(strategy, experience)
        results = strategy.eval(four_each.test_stream[: number + 1])
    assert matrix.rows == [[50.0], [25.0, 100.0]]
    assert published(results)["BWT/test_stream"] == -25.0


def test_nothing_is_published_while_a_trained_task_is_not_measured(
    scripted: Callable[..., Any], four_each: Any
) -> None:
    strategy, matrix = scripted([[2, 1], [1, 4]])
    for number, experience in enumerate(four_each.train_stream):
        train(strategy, experience)
        results = strategy.eval(four_each.test_stream[number : number + 1])
    assert matrix.rows == [[50.0], [None, 100.0]]
    assert published(results) == {"OP/test_stream": 50.0}  # of the first task, when it was the only one


def test_nothing_is_published_without_the_score_right_after_each_task(
    scripted: Callable[..., Any], four_each: Any
) -> None:
    strategy, matrix = scripted([[2, 1], [1, 4]])
    for experience in four_each.train_stream:
        train(strategy, experience)
    assert published(strategy.eval(four_each.test_stream)) == {}
    assert matrix.rows == [[], [25.0, 100.0]]


def test_an_evaluation_before_training_does_not_count(scripted: Callable[..., Any], four_each: Any) -> None:
    strategy, matrix = scripted([[2, 1]])
    strategy.eval(four_each.test_stream)
    assert matrix.rows == []
    assert matrix.result() is None


def test_an_evaluation_of_another_stream_does_not_count(scripted: Callable[..., Any], four_each: Any) -> None:
    strategy, matrix = scripted([[2, 1]])
    train(strategy, four_each.train_stream[0])
    strategy.eval(four_each.test_stream)
    strategy.model.right = [[4, 4]]
    strategy.eval(four_each.dev_stream)
    assert matrix.rows == [[50.0, 25.0]]


def test_an_evaluation_of_another_stream_publishes_nothing(scripted: Callable[..., Any], four_each: Any) -> None:
    strategy, _ = scripted([[2, 1]])
    train(strategy, four_each.train_stream[0])
    strategy.eval(four_each.test_stream)
    strategy.eval(four_each.dev_stream)
    assert strategy.evaluator.get_all_metrics()["OP/test_stream"][1] == [50.0]


def test_the_last_of_several_evaluations_after_a_task_counts(scripted: Callable[..., Any], four_each: Any) -> None:
    strategy, matrix = scripted([[2, 1]])
    train(strategy, four_each.train_stream[0])
    strategy.eval(four_each.test_stream)
    strategy.model.right = [[3, 1]]
    strategy.eval(four_each.test_stream[:1])
    assert matrix.rows == [[75.0, 25.0]]


def test_a_reset_forgets_all_rows(scripted: Callable[..., Any], four_each: Any) -> None:
    strategy, matrix = scripted([[2, 1]])
    train(strategy, four_each.train_stream[0])
    strategy.eval(four_each.test_stream)
    matrix.reset()
    assert matrix.result() is None


def test_all_metrics_come_together_for_the_stream_asked_for(
    adapted: tuple[LanguageModel, Any], strategy_of: Strategy
) -> None:
    model, benchmark = adapted
    strategy = strategy_of(model, *text_metrics("dev"))
    strategy.train(benchmark.train_stream[0])
    names = strategy.eval(benchmark.dev_stream).keys()
    for metric in ("ExactMatch", "LabelAccuracy", "TaskScore"):
        assert STREAM.format(metric).replace("test_stream", "dev_stream") in names
        assert EXPERIENCE.format(metric, 0).replace("test_stream", "dev_stream") in names
    assert "OP/dev_stream" in names
