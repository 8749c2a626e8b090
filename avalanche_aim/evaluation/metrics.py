"""Avalanche metric plugins for language models on text streams.

They read what the model computed in the evaluation pass itself, at no further cost.
"""

from typing import Any, Literal

import torch
from avalanche.evaluation import GenericPluginMetric, PluginMetric
from avalanche.evaluation.metric_results import MetricValue
from avalanche.evaluation.metrics import Mean
from torch import Tensor

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
            self._metric.update(float(values.float().mean()), len(values))

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


class LabelAccuracy(_ExampleMean):
    """Share of examples whose gold label scores highest among its task's labels; open generation does not count.

    :param level: "experience" or "stream".
    """

    label = "LabelAccuracy"

    def values(self, strategy: Any) -> Tensor:
        answers = strategy.model.answers
        rows = torch.tensor([bool(classes) for classes in answers.task_classes], device=strategy.mb_x.device)
        task = strategy.mb_x[:, 0]
        own = strategy.mb_output.masked_fill(~strategy.model.classes_of(task), float("-inf"))
        return (own.argmax(1) == strategy.mb_y)[rows[task]]


class ResultMatrix(PluginMetric[Matrix]):
    """The R matrix of exact matches in percent, and OP, BWT and forgetting over the tasks trained so far.

    After each evaluation of the stream, once every task trained so far is measured, the three are published as
    ``OP/<stream>`` and so on (definitions: :mod:`avalanche_aim.evaluation.transfer`). Evaluating the tasks seen so
    far is enough: ``strategy.eval(benchmark.test_stream[: i + 1])``.

    :param stream: the stream whose evaluations count.
    """

    def __init__(self, stream: str = "test") -> None:
        super().__init__()
        self.stream = stream
        self.rows: list[list[float | None]] = []
        """R[i][j], with None where nothing was measured."""
        self._matches: list[Tensor] = []

    def reset(self) -> None:
        """Forget all rows."""
        self.rows = []

    def result(self) -> Matrix | None:
        """Return R, shape (T, T), over the tasks trained so far, or None before the first."""
        return result_matrix([row[: len(self.rows)] for row in self.rows]) if self.rows else None

    def before_training_exp(self, strategy: Any) -> None:
        self.rows.append([])

    def before_eval_exp(self, strategy: Any) -> None:
        self._matches = []

    def after_eval_iteration(self, strategy: Any) -> None:
        self._matches.append(exact_matches(strategy))

    def after_eval_exp(self, strategy: Any) -> None:
        experience = strategy.experience
        if not self.rows or experience.origin_stream.name != self.stream:
            return
        row, task = self.rows[-1], experience.current_experience
        row.extend([None] * (task + 1 - len(row)))
        row[task] = 100.0 * float(torch.cat(self._matches).float().mean())

    def after_eval(self, strategy: Any) -> list[MetricValue]:
        size = len(self.rows)
        measured = size and all(len(row) > i and row[i] is not None for i, row in enumerate(self.rows))
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


def exact_matches(strategy: Any) -> Tensor:
    """Whether greedy decoding gives the gold answer, for each example of the batch just evaluated; shape (B,).

    :param strategy: a strategy whose model is a :class:`~avalanche_aim.text.LanguageModel`.
    :raises TypeError: for another model.
    """
    matches = getattr(strategy.model, "exact_match", None)
    if matches is None:
        raise TypeError(f"expected the strategy's model to be a LanguageModel, got {type(strategy.model).__name__}")
    return matches


def text_metrics(stream: str = "test") -> list[PluginMetric]:
    """All metrics of this module: exact match and label accuracy per experience and stream, R, OP, BWT.

    :param stream: the stream that R is measured on.
    :return: metrics for Avalanche's ``EvaluationPlugin``.
    """
    levels: tuple[Level, ...] = ("experience", "stream")
    return [*map(ExactMatch, levels), *map(LabelAccuracy, levels), ResultMatrix(stream)]
