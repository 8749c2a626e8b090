"""Scores of several answers in one pass are those of separate, unpadded passes of Transformers."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from avalanche_aim import LanguageModel

Adapted = tuple[LanguageModel, Any]


def own_scores(model: LanguageModel, picks: list[Any], own_loss: Callable[..., Tensor]) -> Tensor:
    """Minus Transformers' own loss of each label of each row's task, or of its own answer; -inf elsewhere."""
    assert model.answers is not None
    scores = torch.full((len(picks), len(model.answers)), float("-inf"))
    for row, (task, example) in enumerate(picks):
        for answer in task.labels or (example.answer,):
            column = model.answers.texts.index(answer) if task.labels else model.answers.open_class
            scores[row, column] = -own_loss(model, example.prompt, answer).detach()
    return scores


def gold_scores(scores: Tensor, x: Tensor) -> Tensor:
    return scores.gather(1, x[:, 1:2])[:, 0]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_each_label_scores_minus_its_own_loss_in_a_batch_of_all_tasks(
    adapted: Adapted, attention: str, mixed_batch: Callable[..., Any], own_loss: Callable[..., Tensor]
) -> None:
    model, benchmark = adapted
    model.language_model.set_attn_implementation(attention)
    x, picks = mixed_batch(benchmark)
    expected = own_scores(model.eval(), picks, own_loss)
    assert len({len(model.tokenizer(example.prompt).input_ids) for _, example in picks}) > 3
    torch.testing.assert_close(model(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_each_label_scores_minus_its_own_loss_in_a_batch_of_one_task(
    adapted: Adapted, number: int, rows: Callable[..., Tensor], own_loss: Callable[..., Tensor]
) -> None:
    model, benchmark = adapted
    experience = benchmark.test_stream[number]
    picks = [(experience.task, example) for example in experience.task.test]
    expected = own_scores(model.eval(), picks, own_loss)
    torch.testing.assert_close(model(rows(experience)), expected, rtol=1e-5, atol=1e-5)


def test_scoring_all_labels_scores_every_label_of_the_stream_and_each_own_answer(
    adapted: Adapted, mixed_batch: Callable[..., Any], own_loss: Callable[..., Tensor]
) -> None:
    model, benchmark = adapted
    model.score_all_labels = True
    assert model.answers is not None
    x, picks = mixed_batch(benchmark)
    expected = torch.stack(
        [
            torch.stack([-own_loss(model.eval(), example.prompt, t) for t in (*model.answers.texts, example.answer)])
            for _, example in picks
        ]
    )
    torch.testing.assert_close(model(x), expected, rtol=1e-5, atol=1e-5)


def test_the_training_loss_is_transformers_own_loss_averaged_over_examples(
    adapted: Adapted,
    mixed_batch: Callable[..., Any],
    own_loss: Callable[..., Tensor],
    without_dropout: Callable[..., Any],
) -> None:
    model, benchmark = adapted
    x, picks = mixed_batch(benchmark)
    without_dropout(model.train())
    own = torch.stack([own_loss(model, example.prompt, example.answer) for _, example in picks]).mean()
    torch.testing.assert_close(model.criterion(model(x), x[:, 1]), own, rtol=1e-5, atol=1e-5)


def test_the_training_gradient_is_that_of_transformers_own_loss(
    adapted: Adapted,
    mixed_batch: Callable[..., Any],
    own_loss: Callable[..., Tensor],
    without_dropout: Callable[..., Any],
) -> None:
    model, benchmark = adapted
    x, picks = mixed_batch(benchmark)
    weights = list(without_dropout(model.train()).parameters())
    own = torch.stack([own_loss(model, example.prompt, example.answer) for _, example in picks]).mean()
    expected = torch.autograd.grad(own, weights)
    gradient = torch.autograd.grad(model.criterion(model(x), x[:, 1]), weights)
    assert any(part.abs().max() > 1e-3 for part in gradient)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-5)


def test_a_row_scores_the_same_in_any_batch(adapted: Adapted, mixed_batch: Callable[..., Any]) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    together = model.eval()(x)
    torch.testing.assert_close(torch.cat([model(row[None]) for row in x]), together, rtol=1e-5, atol=1e-5)


def test_padding_that_the_row_carries_does_not_matter(adapted: Adapted, mixed_batch: Callable[..., Any]) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    wider = torch.nn.functional.pad(x, (0, 7), value=-100)
    assert torch.equal(model.eval()(wider), model(x))


def test_labels_that_begin_alike_score_differently(adapted: Adapted, rows: Callable[..., Tensor]) -> None:
    model, benchmark = adapted
    assert model.answers is not None
    tokens = {text: tokens for text, tokens in zip(model.answers.texts, model.answers.tokens, strict=True)}
    assert tokens["very bad"][0] == tokens["very good"][0]
    columns = [model.answers.texts.index(text) for text in ("very bad", "very good")]
    scores = model.eval()(rows(benchmark.test_stream[0]))[:, columns]
    assert (scores[:, 0] != scores[:, 1]).all()
