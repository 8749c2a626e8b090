"""Small streams and models for evaluation."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from avalanche.benchmarks import CLScenario
from avalanche.training import Naive
from avalanche.training.plugins import EvaluationPlugin

from avalanche_aim.text import LanguageModel, TextExample, TextTask, text_benchmark


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
