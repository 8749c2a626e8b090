"""Avalanche metric plugins for language models on text streams.

They read what the model computed in the evaluation pass itself, at no further cost; only answers to open tasks are
generated besides.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from avalanche.evaluation import GenericPluginMetric, PluginMetric
from avalanche.evaluation.metric_results import MetricValue
from avalanche.evaluation.metrics import Mean
from torch import Tensor

from ..text.model.generation import MAX_NEW_TOKENS
from .batch_scores import BatchScores, exact_matches
from .transfer import Matrix, result_matrix, summary

Level = Literal["experience", "stream"]


class _ExampleMean(GenericPluginMetric[float, Mean]):
    """The mean of a value an example has, over an experience or over a stream."""

    label = ""

    def __init__(self, level: Level) -> None:
        super().__init__(Mean(), reset_at=level, emit_at=level, mode="eval")
        self.level = level

    def values(self, strategy: Any) -> Tensor:
        """The value of each example of the current batch that has one."""
        raise NotImplementedError

    def update(self, strategy: Any) -> None:
        values = self.values(strategy)
        if len(values):
            self._metric.update(float(values.cpu().double().mean()), len(values))

    def _package_result(self, strategy: Any) -> list[MetricValue] | None:
        return super()._package_result(strategy) if self._metric.weight else None

    def __str__(self) -> str:
        return f"{self.label}_{'Exp' if self.level == 'experience' else 'Stream'}"


class ExactMatch(_ExampleMean):
    """Share of examples whose greedy answer is exactly the gold answer.

    Computed without generating: greedy decoding gives the gold answer exactly where the most probable token at
    every teacher-forced position, end of sequence included, is the gold token.

    :param level: "experience" for one value an experience, "stream" for one over all examples of a stream.
    """

    label = "ExactMatch"

    def values(self, strategy: Any) -> Tensor:
        return exact_matches(strategy)


class TaskScore(_ExampleMean):
    """Mean score of the greedy answers, each by its own task's metric: exact match or ROUGE-L; in [0, 1].

    :param scores: scores a batch; give several metrics the same one, and answers are generated once.
    """

    label = "TaskScore"

    def __init__(self, level: Level, scores: BatchScores | None = None) -> None:
        super().__init__(level)
        self.scores = scores or BatchScores()

    def values(self, strategy: Any) -> Tensor:
        return self.scores(strategy)


class LabelAccuracy(_ExampleMean):
    """Share of examples whose gold label scores highest among its task's labels; open generation does not count."""

    label = "LabelAccuracy"

    def values(self, strategy: Any) -> Tensor:
        exact_matches(strategy)  # refuses other models
        answers = strategy.model.answers
        rows = torch.tensor([bool(classes) for classes in answers.task_classes], device=strategy.mb_x.device)
        task = strategy.mb_x[:, 0]
        own = strategy.mb_output.masked_fill(~answers.classes_of(task), float("-inf"))
        return (own.argmax(1) == strategy.mb_y)[rows[task]]


class ResultMatrix(PluginMetric[Matrix]):
    """The R matrix of task scores in percent, and OP, BWT and forgetting over the tasks trained so far.

    A task's score is the mean of its examples' scores by the task's own metric, exact match or ROUGE-L.

    After each evaluation of the stream, once every task trained so far is measured, the three are published as
    ``OP/<stream>`` and so on (definitions: :mod:`avalanche_aim.evaluation.transfer`). Evaluating the tasks seen so
    far is enough: ``strategy.eval(benchmark.test_stream[: i + 1])``.

    :param stream: the stream whose evaluations count.
    :param scores: scores the batch just evaluated, given the strategy, shape (B,); by default as :class:`TaskScore`.
    """

    def __init__(self, stream: str = "test", scores: Callable[[Any], Tensor] | None = None) -> None:
        super().__init__()
        self.stream = stream
        self.scores = scores or BatchScores()
        self.rows: list[list[float | None]] = []
        """R[i][j], with None where nothing was measured."""
        self._values: list[Tensor] = []
        self._measured = False

    def reset(self) -> None:
        self.rows = []

    def state_dict(self) -> dict[str, Any]:
        return {"rows": [list(row) for row in self.rows]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rows = [list(row) for row in state["rows"]]

    def result(self) -> Matrix | None:
        """Return R, shape (T, T), over the tasks trained so far, or None before the first."""
        return result_matrix([row[: len(self.rows)] for row in self.rows]) if self.rows else None

    def before_training_exp(self, strategy: Any) -> None:
        getattr(strategy.model, "check_criterion", lambda criterion: None)(strategy._criterion)
        self.rows.append([])

    def before_eval(self, strategy: Any) -> None:
        self._measured = False

    def before_eval_exp(self, strategy: Any) -> None:
        self._values = []

    def after_eval_iteration(self, strategy: Any) -> None:
        if self._counts(strategy):
            self._values.append(self.scores(strategy))

    def after_eval_exp(self, strategy: Any) -> None:
        experience = strategy.experience
        if not self._counts(strategy):
            return
        self._measured = True
        row, task = self.rows[-1], experience.current_experience
        row.extend([None] * (task + 1 - len(row)))
        row[task] = 100.0 * float(torch.cat(self._values).mean())

    def _counts(self, strategy: Any) -> bool:
        return bool(self.rows) and strategy.experience.origin_stream.name == self.stream

    def after_eval(self, strategy: Any) -> list[MetricValue]:
        size = len(self.rows)
        measured = self._measured and all(len(row) > i and row[i] is not None for i, row in enumerate(self.rows))
        if not measured or None in self.rows[-1][:size]:
            return []
        matrix = self.result()
        assert matrix is not None
        x = strategy.clock.train_iterations
        return [
            MetricValue(self, f"{name}/{self.stream}_stream", value, x)
            for name, value in summary(matrix).items()
            if value == value  # a single task has no backward transfer
        ]


def text_metrics(stream: str = "test", max_new_tokens: int = MAX_NEW_TOKENS) -> list[PluginMetric]:
    """All metrics of this module: task score, exact match and label accuracy per experience and stream, R, OP, BWT.

    :param stream: the stream that R is measured on.
    :param max_new_tokens: tokens after which a generated answer is cut.
    """
    scores = BatchScores(max_new_tokens)
    levels: tuple[Level, ...] = ("experience", "stream")
    per_example = [(TaskScore(level, scores), ExactMatch(level), LabelAccuracy(level)) for level in levels]
    return [*(metric for metrics in per_example for metric in metrics), ResultMatrix(stream, scores)]
