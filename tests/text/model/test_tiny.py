"""Tiny random models and their tokenizer, built in memory."""

import pytest
import torch

from avalanche_aim.text import read_tasks
from avalanche_aim.text.data.layouts import SAMPLE
from avalanche_aim.text.model.tiny import TINY, tiny_model, tiny_tokenizer

TEXT = "Größe, “quoted” 東京 🙂\n\n two  spaces"


@pytest.mark.parametrize("kind", TINY.values())
def test_a_tokenizer_gives_any_text_back(kind: str) -> None:
    tokenizer = tiny_tokenizer(kind)
    assert tokenizer.decode(tokenizer(TEXT).input_ids, skip_special_tokens=True) == TEXT


@pytest.mark.parametrize(("kind", "ends"), [("causal", False), ("seq2seq", True)])
def test_only_the_seq2seq_tokenizer_ends_its_texts(kind: str, ends: bool) -> None:
    tokenizer = tiny_tokenizer(kind)
    assert (tokenizer(TEXT).input_ids[-1] == tokenizer.eos_token_id) == ends


def test_a_tokenizer_is_the_same_each_time() -> None:
    assert tiny_tokenizer("causal").get_vocab() == tiny_tokenizer("causal").get_vocab()


def test_a_tokenizer_has_the_vocabulary_asked_for() -> None:
    assert len(tiny_tokenizer("causal", vocabulary=400)) == 400


def test_the_tokenizer_knows_the_sample_well() -> None:
    tokenizer = tiny_tokenizer("causal")
    prompts = [example.prompt for example in read_tasks(SAMPLE, ["news"])[0].test]
    assert sum(len(ids) for ids in tokenizer(prompts).input_ids) < sum(map(len, prompts)) / 2


@pytest.mark.parametrize("kind", TINY.values())
def test_a_model_is_tiny_and_follows_its_seed(kind: str) -> None:
    first, same, other = (tiny_model(kind, 300, seed).state_dict() for seed in (0, 0, 1))
    assert sum(weight.numel() for weight in first.values()) < 300_000
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("kind", TINY.values())
def test_building_a_model_leaves_the_global_random_stream_alone(kind: str) -> None:
    before = torch.get_rng_state()
    tiny_model(kind, 300)
    assert torch.equal(torch.get_rng_state(), before)
