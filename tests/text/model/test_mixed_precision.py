"""Language models in mixed precision."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from language_models import NAMES, Adapted, frozen
from torch import nn

from avalanche_aim import LanguageModel, text_benchmark
from avalanche_aim.text import TextTask
from avalanche_aim.text.model.loading import store_frozen


@pytest.mark.parametrize("training", [True, False])
def test_autocast_scores_are_close_to_full_precision(
    adapted: Adapted, mixed_batch: Callable[..., Any], without_dropout: Callable[..., Any], training: bool
) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    full = without_dropout(model.train(training))(x)
    model.autocast = torch.bfloat16
    mixed = model(x)
    assert mixed.dtype == torch.float32
    assert not torch.equal(mixed.nan_to_num(0.0), full.nan_to_num(0.0))
    torch.testing.assert_close(mixed, full, rtol=0.02, atol=0.1, equal_nan=True)


def test_autocast_leaves_weights_and_gradients_in_full_precision(
    adapted: Adapted, mixed_batch: Callable[..., Any]
) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    model.autocast = torch.bfloat16
    model.criterion(model.train()(x), x[:, 1]).backward()
    assert {weight.dtype for weight in model.backbone.parameters()} == {torch.float32}
    assert {weight.grad.dtype for weight in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", NAMES)
def test_frozen_layers_stored_in_half_precision_give_the_same_bits(
    name: str, tasks: list[TextTask], mixed_batch: Callable[..., Any]
) -> None:
    model = LanguageModel.from_pretrained(name)  # of its own: copies share the frozen weights that are changed here
    benchmark = text_benchmark(tasks, model.tokenizer)
    model.adaptation(benchmark.train_stream[0])
    x, _ = mixed_batch(benchmark)
    model.autocast = torch.bfloat16
    scores, gradients = [], []
    for _ in range(2):
        torch.manual_seed(0)
        out = model.train()(x)
        model.criterion(out, x[:, 1]).backward()
        scores.append(out.detach().nan_to_num(0.0))
        gradients.append([weight.grad for weight in model.parameters()])
        model.zero_grad(set_to_none=True)
        store_frozen(model.backbone, torch.bfloat16)
    assert {weight.dtype for weight in frozen(model)} == {torch.float32, torch.bfloat16}
    assert torch.equal(*scores)
    assert all(map(torch.equal, *gradients))


@pytest.mark.parametrize("tied", [True, False])
def test_a_tied_output_layer_gets_a_copy_and_embeddings_stay_as_they_are(tied: bool) -> None:
    backbone = nn.ModuleDict({"embedding": nn.Embedding(6, 4), "head": nn.Linear(4, 6, bias=False)})
    backbone.requires_grad_(False)
    if tied:
        backbone["head"].weight = backbone["embedding"].weight
    expected = backbone["head"].weight.to(torch.bfloat16)
    store_frozen(backbone, torch.bfloat16)
    assert backbone["embedding"].weight.dtype == torch.float32
    assert torch.equal(backbone["head"].weight, expected)


def test_trainable_weights_stay_in_full_precision() -> None:
    model = LanguageModel.from_pretrained("tiny", autocast=torch.bfloat16)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
