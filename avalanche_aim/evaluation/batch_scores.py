"""The score of each example of an evaluated batch, by its own task's metric."""

from typing import Any

import torch
from torch import Tensor

from ..distributed import DataParallel
from ..text.model.generation import MAX_NEW_TOKENS, decode, generate
from ..text.model.scoring import matches_of
from ..text.stream.answer_key import AnswerKey, Source
from ..text.stream.encoding import Batch, unpack
from .scores import SCORES


class BatchScores:
    """Scores the batch that a strategy has just evaluated; several metrics share one, so that it is scored once.

    Where the evaluation pass shows that greedy decoding gives exactly the gold answer, that is the prediction. For
    any other row, exact match against a single reference is 0 and needs no prediction; the rest (ROUGE-L, and exact
    match with several references) is generated.

    :param max_new_tokens: tokens after which a generated answer is cut.
    """

    def __init__(self, max_new_tokens: int = MAX_NEW_TOKENS) -> None:
        self.max_new_tokens = max_new_tokens
        self._output: Tensor | None = None
        self._scores: Tensor | None = None

    def __call__(self, strategy: Any) -> Tensor:
        """Return the scores, each in [0, 1], shape (B,).

        :param strategy: a strategy after an evaluation iteration on a stream of
            :func:`~avalanche_aim.text.text_benchmark`, whose model is a :class:`~avalanche_aim.text.LanguageModel`.
        :raises TypeError: for another model.
        :raises ValueError: for an experience without references, or a task with an unknown metric.
        """
        # The batch is told by its output, which nothing but a new forward pass replaces.
        if self._scores is None or self._output is not strategy.mb_output:
            self._scores = self._score(strategy)
            self._output = strategy.mb_output
        return self._scores

    def _score(self, strategy: Any) -> Tensor:
        key, batch = answer_key(strategy.experience), unpack(strategy.mb_x, pad_left=False)
        tasks, right = batch.task.tolist(), exact_matches(strategy).tolist()
        references = [key.references[task][row] for task, row in zip(tasks, batch.number.tolist(), strict=True)]
        metrics = [key.metrics[task] for task in tasks]
        scores = torch.tensor(right, dtype=torch.float64)
        needed = [row for row, m in enumerate(metrics) if m != "exact_match" or len(references[row]) > 1]
        predictions = self._predictions(strategy, batch, needed, right)
        for row, prediction in predictions.items():
            scores[row] = SCORES[metrics[row]](prediction, references[row])
        return scores

    def _predictions(self, strategy: Any, batch: Batch, rows: list[int], right: list[bool]) -> dict[int, str]:
        """The greedy answers of some rows of the batch, by row."""
        model, lengths = strategy.model, batch.answer_mask.sum(1).tolist()
        gold = [row for row in rows if right[row] and lengths[row] <= self.max_new_tokens]
        others = sorted(set(rows) - set(gold))
        answers = batch.answer.where(batch.answer_mask, model.tokenizer.eos_token_id)[gold]
        generated = DataParallel.of(strategy).share_out(
            model, others, lambda rows: generate(model, strategy.mb_x[rows], self.max_new_tokens)
        )
        texts = [*decode(model, answers), *generated]
        return dict(zip(gold + others, texts, strict=True))


def exact_matches(strategy: Any) -> Tensor:
    """Whether greedy decoding gives the gold answer, for each example of the batch just evaluated; shape (B,).

    :raises TypeError: for another model.
    """
    matches = matches_of(strategy.mb_output)
    if matches is None:
        raise TypeError(f"expected the strategy's model to be a LanguageModel, got {type(strategy.model).__name__}")
    return matches


def answer_key(experience: Any) -> AnswerKey:
    """Return the references of an experience's stream.

    :param experience: of a stream of :func:`~avalanche_aim.text.text_benchmark`.
    :raises ValueError: for another experience, or a task with an unknown metric.
    """
    source = Source.of(experience)
    key = getattr(experience, "answer_key", None if source is None else source.answer_key)
    if key is None:
        raise ValueError(
            f"expected an experience of a text benchmark, got {type(experience).__name__} whose data has no answer_key"
        )
    unknown = sorted(set(key.metrics) - set(SCORES))
    if unknown:
        raise ValueError(f"TextTask.metric: expected one of {', '.join(SCORES)}, got {', '.join(unknown)}")
    return key
