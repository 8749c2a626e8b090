"""Answers by real greedy generation, and the teacher-forced exact match that stands in for it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from avalanche_aim import LanguageModel, text_benchmark
from avalanche_aim.text import generate
from avalanche_aim.text.stream.encoding import HEADER

Trained = tuple[LanguageModel, Any]


@pytest.mark.parametrize("number", [0, 1], ids=["closed task", "open task"])
def test_the_exact_match_is_that_of_greedy_generation_example_by_example(
    trained: Trained, number: int, rows: Callable[..., Tensor]
) -> None:
    model, benchmark = trained
    experience = benchmark.test_stream[number]
    x = rows(experience)
    exact = model.answer_scores(x).exact
    assert exact is not None
    matches = [text == e.answer for text, e in zip(generate(model, x, 16), experience.task.test, strict=True)]
    assert any(matches)
    assert not all(matches)
    assert exact.tolist() == matches


def test_the_exact_match_of_mixed_tasks_is_that_of_greedy_generation(
    trained: Trained, mixed_batch: Callable[..., Any]
) -> None:
    model, benchmark = trained
    x, picks = mixed_batch(benchmark)
    x, picks = torch.cat([x, x.flip(0)]), [*picks, *reversed(picks)]
    exact = model.answer_scores(x).exact
    assert exact is not None
    assert exact.tolist() == [
        text == example.answer for text, (_, example) in zip(generate(model, x, 16), picks, strict=True)
    ]


def test_an_exact_match_needs_the_end_of_the_answer(trained: Trained, rows: Callable[..., Tensor]) -> None:
    model, benchmark = trained
    experience = benchmark.test_stream[1]
    x = rows(experience)
    exact = model.answer_scores(x).exact
    assert exact is not None
    row = next(i for i, hit in enumerate(exact) if hit and int(x[i, 3]) > 2)
    shorter = x[row : row + 1].clone()  # the same answer without its last token: right at every token but the end
    n_prompt, n_answer = shorter[0, 2:4].tolist()
    shorter[0, 3] = n_answer - 1
    shorter[0, HEADER + n_prompt + n_answer - 2] = model.tokenizer.eos_token_id
    assert model.answer_scores(shorter).exact.tolist() == [False]


def test_the_answers_in_the_rows_are_not_looked_at(trained: Trained, rows: Callable[..., Tensor]) -> None:
    model, benchmark = trained
    x = rows(benchmark.test_stream[1])
    blind = x.clone()
    for row in blind:
        row[HEADER + row[2] : HEADER + row[2] + row[3]] = 7
    assert generate(model, blind, 16) == generate(model, x, 16)


def test_an_answer_is_cut_at_the_limit(trained: Trained, rows: Callable[..., Tensor]) -> None:
    model, benchmark = trained
    x = rows(benchmark.test_stream[1])[2:3]
    (whole,), (cut,) = generate(model, x, 16), generate(model, x, 2)
    assert whole.startswith(cut)
    assert 0 < len(cut) < len(whole)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_keeps_its_mode_and_generates_without_dropout(
    adapted: tuple[LanguageModel, Any], training: bool, rows: Callable[..., Tensor]
) -> None:
    model, benchmark = adapted
    x = rows(benchmark.test_stream[0], 2)
    model.train(training)
    first = generate(model, x, 6)
    assert model.training == training
    assert {module.training for module in model.backbone.modules()} == {training}
    assert generate(model.eval(), x, 6) == first


def test_settings_that_the_model_brings_along_do_not_change_greedy_answers(
    llama: LanguageModel, tasks: Any, rows: Callable[..., Tensor]
) -> None:
    x = rows(text_benchmark(tasks, llama.tokenizer).test_stream[0])
    greedy = generate(llama, x, 8)
    # Some models' own files have such settings: Qwen's a repetition penalty.
    llama.language_model.generation_config.update(repetition_penalty=9.0, no_repeat_ngram_size=1)
    assert generate(llama, x, 8) == greedy
