"""Scores in an evaluation by Avalanche: each example by its own task's metric."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from avalanche.benchmarks import CLScenario
from avalanche.training import Naive
from avalanche.training.plugins import EvaluationPlugin

from avalanche_aim.evaluation import SCORES, BatchScores, ResultMatrix, TaskScore, batch_scores, text_metrics
from avalanche_aim.text import LanguageModel, TextExample, TextTask, generate, text_benchmark


def examples(prompt: str, answers: list[tuple[str, ...]]) -> tuple[TextExample, ...]:
    return tuple(TextExample(f"{prompt} {row}. Answer:", answer) for row, answer in enumerate(answers))


@pytest.fixture
def tasks() -> list[TextTask]:
    """A classification task, an open one scored by ROUGE-L, and an open one with several exact references."""
    closed = examples("Good or bad, number", [("good",), ("bad",)] * 6)
    titles = [(f"the title of story {row}",) for row in range(12)]
    several = [(f"town {row}", f"city {row}") for row in range(12)]
    return [
        TextTask("closed", closed, (), closed[:5], ("bad", "good")),
        TextTask("open", examples("Title of", titles), (), examples("Title of", titles)[:5], None, "rouge_l"),
        TextTask("several", examples("Where is", several), (), examples("Where is", several)[:5], None),
    ]


@pytest.fixture(params=["tiny", "tiny-t5"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    return LanguageModel.from_pretrained(request.param)


@pytest.fixture
def benchmark(model: LanguageModel, tasks: list[TextTask]) -> CLScenario:
    return text_benchmark(tasks, model.tokenizer)


@pytest.fixture
def make_strategy() -> Callable[..., Naive]:
    def make(model: LanguageModel, *metrics: Any, rate: float = 0.01, epochs: int = 1) -> Naive:
        torch.manual_seed(0)
        return Naive(
            model=model,
            optimizer=torch.optim.AdamW(model.parameters(), lr=rate),
            criterion=model.criterion,
            train_mb_size=4,
            train_epochs=epochs,
            eval_mb_size=3,
            evaluator=EvaluationPlugin(*metrics, loggers=[_Silent()]),
        )

    return make


class _Silent:
    def log_metrics(self, values: Any) -> None:
        pass


Make = Callable[..., Naive]


class Recorder(BatchScores):
    """Keeps what each batch scored, and counts the batches that were scored."""

    def __init__(self) -> None:
        super().__init__(max_new_tokens=16)
        self.scored: list[torch.Tensor] = []

    def _score(self, strategy: Any) -> torch.Tensor:
        self.scored.append(super()._score(strategy))
        return self.scored[-1]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let each generated answer be "City 1"; return the numbers of rows that were generated."""
    rows: list[int] = []

    def fixed(model: LanguageModel, x: torch.Tensor, max_new_tokens: int) -> list[str]:
        rows.append(len(x))
        return ["City 1"] * len(x)

    monkeypatch.setattr(batch_scores, "generate", fixed)
    return rows


@pytest.fixture
def greedy_is_gold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the evaluation pass say of each row that greedy decoding gives the gold answer."""
    monkeypatch.setattr(
        batch_scores, "exact_matches", lambda strategy: torch.ones(len(strategy.mb_x), dtype=torch.bool)
    )


@pytest.mark.parametrize("kind", ["tiny", "tiny-t5"])
def test_scores_are_those_of_generated_answers(kind: str, tasks: list[TextTask], make_strategy: Make) -> None:
    model, scores = LanguageModel.from_pretrained(kind, lora=False), Recorder()
    benchmark = text_benchmark(tasks, model.tokenizer)
    strategy = make_strategy(model, TaskScore("experience", scores), rate=0.005, epochs=15)
    strategy.train(benchmark.train_stream[1])
    strategy.eval(benchmark.test_stream)
    expected = []
    for experience in benchmark.test_stream:
        rows = torch.stack([x for x, *_ in experience.dataset])
        for example, answer in zip(experience.task.test, generate(model, rows, 16), strict=True):
            expected.append(SCORES[experience.task.metric](answer, example.references))
    assert torch.cat(scores.scored).tolist() == pytest.approx(expected)
    assert 0.0 < sum(expected) < len(expected)


def test_all_metrics_appear_per_experience_and_stream(
    model: LanguageModel, benchmark: CLScenario, make_strategy: Make, answers: list[int]
) -> None:
    result = make_strategy(model, *text_metrics()).eval(benchmark.test_stream)
    names = {f"{name}_{level}" for name in ("TaskScore", "ExactMatch", "LabelAccuracy") for level in ("Exp", "Stream")}
    assert {key.split("/")[0] for key in result} == names


def test_closed_tasks_generate_nothing(
    model: LanguageModel, benchmark: CLScenario, make_strategy: Make, answers: list[int]
) -> None:
    make_strategy(model, TaskScore("stream")).eval([benchmark.test_stream[0]])
    assert sum(answers) == 0


def test_any_of_several_exact_references_counts(
    model: LanguageModel, benchmark: CLScenario, make_strategy: Make, answers: list[int]
) -> None:
    result = make_strategy(model, TaskScore("stream")).eval([benchmark.test_stream[2]])
    # "city 1" is the second reference of example 1 of 5
    assert next(v for k, v in result.items() if k.startswith("TaskScore")) == pytest.approx(0.2)
    assert sum(answers) == 5


def test_references_follow_rows_that_are_cut_and_shuffled(
    model: LanguageModel, benchmark: CLScenario, make_strategy: Make, answers: list[int]
) -> None:
    scores, experience = Recorder(), benchmark.test_stream[2]
    experience._dataset = experience.dataset.subset([4, 1, 3])
    make_strategy(model, TaskScore("stream", scores)).eval([experience])
    assert torch.cat(scores.scored).tolist() == [0.0, 1.0, 0.0]


def test_rows_whose_gold_answer_is_the_greedy_one_are_not_generated(
    model: LanguageModel, benchmark: CLScenario, make_strategy: Make, answers: list[int], greedy_is_gold: None
) -> None:
    result = make_strategy(model, TaskScore("stream")).eval(benchmark.test_stream)
    assert next(v for k, v in result.items() if k.startswith("TaskScore")) == 1.0
    assert sum(answers) == 0


def test_gold_answer_beyond_the_limit_is_generated(
    model: LanguageModel, benchmark: CLScenario, make_strategy: Make, answers: list[int], greedy_is_gold: None
) -> None:
    make_strategy(model, TaskScore("stream", BatchScores(max_new_tokens=1))).eval([benchmark.test_stream[1]])
    assert sum(answers) == 5


def test_metrics_that_share_scores_score_each_batch_once(
    model: LanguageModel, benchmark: CLScenario, make_strategy: Make, answers: list[int]
) -> None:
    scores = Recorder()
    metrics = [TaskScore("experience", scores), TaskScore("stream", scores), ResultMatrix("test", scores)]
    strategy = make_strategy(model, *metrics)
    strategy.train(benchmark.train_stream[0])
    strategy.eval(benchmark.test_stream)
    assert len(scores.scored) == 6  # batches of 3 of 5 examples, three times


def test_result_matrix_holds_task_scores_in_percent(
    model: LanguageModel, benchmark: CLScenario, make_strategy: Make, answers: list[int]
) -> None:
    matrix = ResultMatrix()
    strategy = make_strategy(model, matrix)
    strategy.train(benchmark.train_stream[2])
    strategy.eval([benchmark.test_stream[2]])
    assert matrix.rows[0][2] == pytest.approx(20.0)


def test_result_matrix_leaves_other_streams_unscored(
    model: LanguageModel, benchmark: CLScenario, make_strategy: Make, answers: list[int]
) -> None:
    matrix = ResultMatrix("dev")
    strategy = make_strategy(model, matrix)
    strategy.train(benchmark.train_stream[2])
    strategy.eval([benchmark.test_stream[2]])
    assert matrix.rows == [[]] and answers == []


def test_unknown_metric_is_named(model: LanguageModel, benchmark: CLScenario, make_strategy: Make) -> None:
    experience = benchmark.test_stream[0]
    key = experience.answer_key
    experience.answer_key = type(key)(("bleu", *key.metrics[1:]), key.references)
    with pytest.raises(
        ValueError, match="expected one of exact_match, rouge_l, edit_similarity, first_letter, got bleu"
    ):
        make_strategy(model, TaskScore("stream")).eval([experience])


def test_experience_without_an_answer_key_is_refused(
    model: LanguageModel, benchmark: CLScenario, make_strategy: Make
) -> None:
    experience = benchmark.test_stream[0]
    experience.answer_key = None
    with pytest.raises(ValueError, match="answer_key"):
        make_strategy(model, TaskScore("stream")).eval([experience])
