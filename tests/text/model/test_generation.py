"""Greedy generation in batches."""

import warnings

import pytest
import torch
from torch import Tensor

from avalanche_aim.text import LanguageModel, TextExample, TextTask, generate, text_benchmark

WORDS = ["red", "a green house", "blue"]


@pytest.fixture(params=["tiny", "tiny-t5"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    model = LanguageModel.from_pretrained(request.param)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # or every prompt has the same answer
        for name, weight in model.backbone.named_parameters():
            if weight.dim() > 1 and "lora" not in name:
                weight.normal_(0.0, 0.3, generator=generator)
    return model


@pytest.fixture
def rows(model: LanguageModel) -> Tensor:
    """Prompts of different lengths."""
    examples = tuple(TextExample(f"{'long ' * 9 * row}prompt:", (word,)) for row, word in enumerate(WORDS))
    benchmark = text_benchmark([TextTask("open", examples, (), examples, None)], model.tokenizer)
    return torch.stack([x for x, *_ in benchmark.test_stream[0].dataset])


def test_batch_answers_as_each_row_alone(model: LanguageModel, rows: Tensor) -> None:
    together = generate(model, rows, 12)
    assert together == [generate(model, row[None], 12)[0] for row in rows]
    assert len(set(together)) > 1


def test_generation_is_the_argmax_step_by_step(model: LanguageModel, rows: Tensor) -> None:
    prompt = rows[1, 5 : 5 + int(rows[1, 2])][None]
    inner, tokens = model.language_model.eval(), []
    with torch.no_grad():
        for _ in range(6):
            if model.is_causal:
                logits = inner(torch.cat([prompt, torch.tensor([tokens], dtype=torch.long)], 1)).logits
            else:
                logits = inner(input_ids=prompt, decoder_input_ids=torch.tensor([[0, *tokens]])).logits
            tokens.append(int(logits[0, -1].argmax()))
    assert generate(model, rows[1:2], 6) == [model.tokenizer.decode(tokens, skip_special_tokens=True).strip()]


def test_generation_stops_when_every_row_has_ended(
    model: LanguageModel, rows: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    eos, steps = model.tokenizer.eos_token_id, []

    def end(module: object, arguments: object, output: torch.Tensor) -> torch.Tensor:
        steps.append(1)
        scores = torch.zeros_like(output)
        scores[..., eos] = 1.0
        return scores

    handle = model.language_model.get_output_embeddings().register_forward_hook(end)
    assert generate(model, rows, 100) == ["", "", ""]
    assert len(steps) == 1
    handle.remove()


def test_settings_of_the_model_do_not_interfere_and_stay(model: LanguageModel, rows: Tensor) -> None:
    plain = generate(model, rows, 12)
    own = model.language_model.generation_config
    own.do_sample, own.temperature, own.top_k, own.repetition_penalty = True, 5.0, 50, 9.0
    own.num_beams, own.max_length, own.no_repeat_ngram_size = 2, 3, 1
    assert generate(model, rows, 12) == plain
    assert model.language_model.generation_config is own and own.repetition_penalty == 9.0


def test_settings_come_back_after_an_error(model: LanguageModel, rows: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    own = model.language_model.generation_config

    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(model.language_model, "generate", fail)
    model.train()
    with pytest.raises(RuntimeError):
        generate(model, rows)
    assert model.language_model.generation_config is own and model.training and model.backbone.training


def test_nothing_is_printed_or_warned(model: LanguageModel, rows: Tensor, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        generate(model, rows, 4)
    assert capfd.readouterr() == ("", "")


def test_mode_and_random_stream_stay(model: LanguageModel, rows: Tensor) -> None:
    model.train()
    before = torch.get_rng_state()
    generate(model, rows, 4)
    assert model.training and model.backbone.training
    assert torch.equal(before, torch.get_rng_state())


def test_autocast_is_honoured(rows: Tensor, model: LanguageModel) -> None:
    seen = []
    model.autocast = torch.bfloat16
    handle = model.language_model.get_output_embeddings().register_forward_hook(
        lambda module, arguments, output: seen.append(output.dtype)
    )
    generate(model, rows, 2)
    handle.remove()
    assert set(seen) == {torch.bfloat16}


def test_no_rows_give_no_answers(model: LanguageModel, rows: Tensor) -> None:
    assert generate(model, rows[:0]) == []


def test_limit_below_one_is_refused(model: LanguageModel, rows: Tensor) -> None:
    with pytest.raises(ValueError, match="1 or more, got 0"):
        generate(model, rows, 0)
