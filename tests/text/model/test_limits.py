"""What can be known before training is said then: tokens, positions, starts, criteria."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from families import build
from torch import nn

from avalanche_aim import LanguageModel, text_benchmark
from avalanche_aim.text import TextTask
from avalanche_aim.text.model.tiny import tiny_tokenizer

ROWS = [(f"case {i} {'long ' * (i % 7)}? Answer:", ("yes", "no")[i % 2]) for i in range(8)]


def stream(tokenizer: Any, rows: Any = ROWS, **options: Any) -> Any:
    return text_benchmark([TextTask.from_lists("t", train=rows, test=rows)], tokenizer, cache=False, **options)


def test_tokens_that_the_model_does_not_have_are_named_before_training(llama: LanguageModel) -> None:
    llama.tokenizer.add_tokens(["case"])
    with pytest.raises(ValueError, match=r"token 800, the model only 0 to 799.*resize_token_embeddings"):
        llama.adaptation(stream(llama.tokenizer).train_stream[0])


@pytest.mark.parametrize("family", ["gpt2", "opt", "bart"])
def test_more_tokens_than_positions_are_said_with_a_limit_that_works(family: str) -> None:
    model = LanguageModel(build(family), tiny_tokenizer("seq2seq" if family == "bart" else "causal"))
    rows = [("word " * 600 + prompt, answer) for prompt, answer in ROWS]
    with pytest.raises(ValueError, match=r"512 positions; build the stream with max_prompt_tokens=\d+") as error:
        model.adaptation(stream(model.tokenizer, rows, max_prompt_tokens=2000).train_stream[0])
    limit = int(str(error.value).partition("max_prompt_tokens=")[2].split()[0])
    experience = stream(model.tokenizer, rows, max_prompt_tokens=limit).train_stream[0]
    model.adaptation(experience)
    model(experience.dataset[0][0][None])


def test_a_decoder_without_a_start_is_refused_when_the_model_is_made() -> None:
    with pytest.raises(ValueError, match=r"set model.config.decoder_start_token_id"):
        LanguageModel(build("mbart_without_start"), tiny_tokenizer("seq2seq"))


def test_a_tokenizer_that_ends_texts_by_itself_can_be_a_causal_model_s(llama: LanguageModel) -> None:
    model = LanguageModel(llama.backbone, tiny_tokenizer("seq2seq"))
    experience = stream(model.tokenizer).train_stream[0]
    plain = stream(tiny_tokenizer("causal")).train_stream[0]
    assert torch.equal(experience.dataset[0][0], plain.dataset[0][0])
    model.adaptation(experience)


def test_a_tokenizer_that_does_not_end_texts_can_be_a_sequence_to_sequence_model_s() -> None:
    model = LanguageModel(build("t5gemma"), tiny_tokenizer("causal"))
    experience = stream(model.tokenizer).train_stream[0]
    model.adaptation(experience)
    assert all(tokens[-1] == model.tokenizer.eos_token_id for tokens in experience.answers.tokens)


def test_special_tokens_written_in_data_are_text_in_answers_and_named_in_prompts(llama: LanguageModel) -> None:
    rows = [("one </s> two?", "a</s>b"), ("three?", "c")]
    with pytest.warns(UserWarning, match=r"t \(train\): prompts hold special tokens of the tokenizer, \['</s>'\]"):
        task = TextTask.from_lists("t", train=rows, test=rows, labels=["a</s>b", "c"])
        answers = text_benchmark([task], llama.tokenizer, cache=False).train_stream[0].answers
    assert [tokens.count(llama.tokenizer.eos_token_id) for tokens in answers.tokens] == [1, 1]


def test_labels_that_the_tokenizer_cannot_tell_apart_are_named() -> None:
    rows = [("one?", "up"), ("two?", "up "), ("three?", "down")] * 2
    with pytest.warns(UserWarning, match="encodes the labels 'up', 'up ' alike"):
        text_benchmark([TextTask.from_lists("t", train=rows, test=rows, labels=["up", "up ", "down"])],
                       tiny_tokenizer("causal"), cache=False)  # fmt: skip


def test_a_criterion_that_is_not_the_model_s_is_said(llama: LanguageModel) -> None:
    with pytest.warns(UserWarning, match=r"expected the language model's own.*got CrossEntropyLoss"):
        llama.check_criterion(nn.CrossEntropyLoss())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        llama.check_criterion(llama.criterion)


# Answers to texts


def test_a_text_is_answered_as_its_packed_row_is(trained: tuple[LanguageModel, Any], rows: Callable[..., Any]) -> None:
    from avalanche_aim.text import generate

    model, benchmark = trained
    experience = benchmark.test_stream[0]
    prompts = [example.prompt for example in experience.task.test]
    assert model.generate(prompts, 8) == generate(model, rows(experience), 8)
    assert model.generate(prompts[0], 8) == model.generate(prompts, 8)[0]
    assert model.generate([]) == []


def test_something_else_than_texts_is_refused(llama: LanguageModel) -> None:
    with pytest.raises(TypeError, match="prompts: expected a text or several, got"):
        llama.generate([1, 2])  # type: ignore[list-item]
