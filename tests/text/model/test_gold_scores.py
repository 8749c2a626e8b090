"""Which answers a language model scores, and criteria that read others."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from avalanche.training import LwF
from language_models import Adapted
from torch import Tensor, nn

from avalanche_aim import LanguageModel, text_benchmark
from avalanche_aim.text import TextTask
from avalanche_aim.text.model.scoring import matches_of

# What is scored


def test_in_training_only_the_gold_answer_is_scored(adapted: Adapted, mixed_batch: Callable[..., Any]) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    gold = nn.functional.one_hot(x[:, 1], 7).bool()  # 4 moods, 2 more topics, 1 for open answers
    out = model.train()(x)
    assert out[gold].isfinite().all()
    assert out[~gold].isnan().all()


def test_in_training_all_labels_are_scored_where_asked_for(adapted: Adapted, mixed_batch: Callable[..., Any]) -> None:
    model, benchmark = adapted
    model.score_all_labels = True
    out = model.train()(mixed_batch(benchmark)[0])
    assert out.shape == (9, 7)
    assert out.isfinite().all()


def test_in_evaluation_other_tasks_labels_are_minus_infinity(adapted: Adapted, mixed_batch: Callable[..., Any]) -> None:
    model, benchmark = adapted
    x, picks = mixed_batch(benchmark)
    assert model.answers is not None
    out = model.eval()(x)
    for row, (task, _) in enumerate(picks):
        own = [model.answers.texts.index(label) for label in task.labels or ()] or [6]
        others = [column for column in range(7) if column not in own]
        assert out[row, own].isfinite().all()
        assert (out[row, others] == float("-inf")).all()


def test_the_training_pass_says_nothing_about_exact_matches(adapted: Adapted, mixed_batch: Callable[..., Any]) -> None:
    model, benchmark = adapted
    x = mixed_batch(benchmark)[0]
    assert model.train().answer_scores(x).exact is None
    assert matches_of(model(x)) is None
    exact = model.eval().answer_scores(x).exact
    assert exact is not None
    assert exact.shape == (9,)
    assert torch.equal(exact, matches_of(model(x)))


# Criteria that read what was not scored


def test_the_loss_of_the_gold_answer_may_flow_back(adapted: Adapted, mixed_batch: Callable[..., Any]) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    model.criterion(model.train()(x), x[:, 1]).backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize(
    "criterion",
    [
        nn.CrossEntropyLoss(),
        lambda out, y: out.nan_to_num(0.0).sum() + out[:, 0].sum(),
        lambda out, y: nn.functional.mse_loss(out, torch.zeros_like(out)),
    ],
    ids=["cross entropy", "one other column", "squared distance"],
)
def test_a_criterion_that_reads_other_labels_is_told_what_to_do(
    adapted: Adapted, mixed_batch: Callable[..., Any], criterion: Callable[..., Tensor]
) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    with pytest.raises(ValueError, match=r"read the scores of labels other than the gold one.*score_all_labels=True"):
        criterion(model.train()(x), x[:, 1]).backward()


def test_every_pass_of_an_iteration_is_watched_not_the_first_alone(
    adapted: Adapted, mixed_batch: Callable[..., Any]
) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    first, replayed = model.train()(x), model(x)  # as ER-ACE passes the batch, then its buffer
    with pytest.raises(ValueError, match="score_all_labels=True"):
        (model.criterion(first, x[:, 1]) + nn.functional.cross_entropy(replayed, x[:, 1])).backward()


def test_a_plugin_that_reads_other_labels_later_in_the_stream_is_told_as_well(
    llama: LanguageModel, closed_tasks: list[TextTask], strategy_of: Callable[..., Any]
) -> None:
    benchmark = text_benchmark(closed_tasks, llama.tokenizer)
    strategy = strategy_of(llama, template=LwF, alpha=1.0, temperature=2.0)
    strategy.train(benchmark.train_stream[0])
    with pytest.raises(ValueError, match="score_all_labels=True"):
        strategy.train(benchmark.train_stream[1])


def test_gold_scores_in_eval_mode_are_those_of_all_labels_and_the_others_are_left_out(
    adapted: Adapted, mixed_batch: Callable[..., Any]
) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    everything = model.eval()(x)
    with model.gold_scores():
        gold = model(x)
    own = nn.functional.one_hot(x[:, 1], gold.shape[1]).bool()
    torch.testing.assert_close(gold[own], everything[own])
    assert gold[~own].isnan().all()
    assert torch.equal(model(x), everything)
