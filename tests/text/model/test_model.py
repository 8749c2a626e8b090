"""A Hugging Face language model in the form that Avalanche's strategies can hold."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from avalanche.benchmarks.scenarios.supervised import class_incremental_benchmark
from avalanche.benchmarks.utils import as_classification_dataset
from language_models import NAMES, Adapted, frozen, same
from torch.utils.data import TensorDataset

from avalanche_aim import LanguageModel, text_benchmark
from avalanche_aim.text import TextExample, TextTask
from avalanche_aim.training.isolation import eval_mode

# What Avalanche sees of the model


def test_parameters_and_state_are_the_lora_weights_alone(model: LanguageModel) -> None:
    names = [name for name, _ in model.named_parameters()]
    assert len(names) == len(model.state_dict()) > 0
    assert all("lora_" in name for name in names)
    assert all(weight.requires_grad for weight in model.parameters())


def test_gradients_reach_the_lora_weights_alone(adapted: Adapted, mixed_batch: Callable[..., Any]) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    model.criterion(model(x), x[:, 1]).backward()
    assert all(weight.grad.abs().max() > 0 for weight in model.parameters())
    assert all(weight.grad is None for weight in frozen(model))


def test_without_lora_all_weights_train(tasks: list[TextTask]) -> None:
    for name in NAMES:
        model = LanguageModel.from_pretrained(name, lora=False)
        assert frozen(model) == []
        assert sum(w.numel() for w in model.parameters()) == sum(w.numel() for w in model.backbone.parameters())


def test_a_saved_state_can_be_loaded_into_another_copy(adapted: Adapted, mixed_batch: Callable[..., Any]) -> None:
    model, benchmark = adapted
    other = copy.deepcopy(model).eval()
    with torch.no_grad():
        for weight in other.parameters():
            weight.zero_()
    x, _ = mixed_batch(benchmark)
    assert not torch.equal(other(x), model.eval()(x))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(x), model(x))


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_reaches_the_backbone(model: LanguageModel, training: bool) -> None:
    model.train(not training)
    model.train(training)
    assert {module.training for module in model.backbone.modules()} == {training}


def test_each_module_of_the_backbone_gets_its_own_mode_back(model: LanguageModel) -> None:
    model.train()
    modules = list(model.backbone.modules())
    modules[-1].eval()
    with eval_mode(model):
        assert not any(module.training for module in (model, *modules))
    assert [module for module in (model, *modules) if not module.training] == [modules[-1]]


def test_eval_switches_dropout_off(adapted: Adapted, mixed_batch: Callable[..., Any]) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    assert torch.equal(model.eval()(x), model(x))
    assert not torch.equal(model.train()(x).nan_to_num(0.0), model(x).nan_to_num(0.0))


@pytest.mark.parametrize("name", NAMES)
def test_a_change_of_dtype_reaches_the_backbone(name: str) -> None:
    model = LanguageModel.from_pretrained(name).to(torch.float64)
    assert {weight.dtype for weight in (*model.parameters(), *frozen(model))} == {torch.float64}
    assert model.state_dict().keys() == LanguageModel.from_pretrained(name).state_dict().keys()


def test_an_optimizer_made_before_a_change_of_dtype_still_trains_the_model(llama: LanguageModel) -> None:
    optimizer = torch.optim.SGD(llama.parameters(), lr=1.0)
    llama.to(torch.float32)
    held = {id(weight) for weight in optimizer.param_groups[0]["params"]}
    assert held == {id(weight) for weight in llama.backbone.parameters() if weight.requires_grad}


# Copies


def test_a_copy_shares_the_frozen_weights_and_none_of_the_others(model: LanguageModel) -> None:
    twin = copy.deepcopy(model)
    assert [w.data_ptr() for w in frozen(twin)] == [w.data_ptr() for w in frozen(model)]
    mine, its = ({w.data_ptr() for w in part.parameters()} for part in (model, twin))
    assert mine.isdisjoint(its)


def test_a_copy_scores_as_the_original_until_it_is_trained(adapted: Adapted, mixed_batch: Callable[..., Any]) -> None:
    model, benchmark = adapted
    x, _ = mixed_batch(benchmark)
    before = model.eval()(x)
    twin = copy.deepcopy(model)
    assert torch.equal(twin(x), before)
    with torch.no_grad():
        for weight in twin.parameters():
            weight += 0.1
    assert not torch.equal(twin(x), before)
    assert torch.equal(model(x), before)


def test_a_copy_without_lora_shares_no_weight() -> None:
    model = LanguageModel.from_pretrained("tiny", lora=False)
    twin = copy.deepcopy(model)
    mine, its = ({w.data_ptr() for w in part.backbone.parameters()} for part in (model, twin))
    assert mine.isdisjoint(its)
    assert same(model, twin)


# The stream's answers


def test_without_a_stream_the_model_asks_for_one(model: LanguageModel) -> None:
    with pytest.raises(ValueError, match=r"does not know the stream's answers.*adaptation\(experience\)"):
        model(torch.zeros(1, 9, dtype=torch.long))


def test_an_experience_of_another_kind_of_benchmark_is_refused(llama: LanguageModel) -> None:
    data = TensorDataset(torch.zeros(4, 2), torch.arange(4))
    data.targets = [0, 1, 2, 3]
    images = class_incremental_benchmark({"train": as_classification_dataset(data)}, num_experiences=2)
    with pytest.raises(ValueError, match=r"expected an experience of a text benchmark.*without answers"):
        llama.adaptation(images.train_stream[0])


def test_a_stream_for_another_kind_of_model_is_refused(
    tiny_models: dict[str, LanguageModel], tasks: list[TextTask]
) -> None:
    for name, other, message in ((*NAMES, "seq2seq model, this one is causal"), (*NAMES[::-1], "causal model, this")):
        benchmark = text_benchmark(tasks, tiny_models[other].tokenizer)
        with pytest.raises(ValueError, match=rf"encoded for a {message}.*this model's tokenizer"):
            copy.deepcopy(tiny_models[name]).adaptation(benchmark.train_stream[0])


def test_a_prompt_without_text_is_refused_or_scored_alike_in_any_batch(llama: LanguageModel) -> None:
    examples = (TextExample(" ", ("red",)), TextExample("Name the colour of the sky:", ("blue",)))
    try:
        benchmark = text_benchmark([TextTask("names", examples, (), examples, None)], llama.tokenizer)
    except ValueError as error:
        assert "prompt" in str(error)
        return
    llama.adaptation(benchmark.train_stream[0])
    x = torch.stack([benchmark.test_stream[0].dataset[row][0] for row in range(2)])
    torch.testing.assert_close(llama.eval()(x)[:1], llama(x[:1]))
