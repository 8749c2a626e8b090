"""Comparisons of models that are no language models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from avalanche_aim import LanguageModel
from avalanche_aim.experiments import Comparison, Configuration, single_task_scores
from avalanche_aim.experiments.models import Digits, LanguageModels

SHORT: dict[str, Any] = {"train_per_task": 12, "eval_per_task": 6, "batch_size": 6, "device": "cpu", "memory": 4}


@pytest.fixture
def digits() -> Configuration:
    return Configuration(benchmark="digits", strategies=("naive", "replay", "lwf", "aim"), **SHORT)


def compare(configuration: Configuration, folder: Path) -> Comparison:
    made = Comparison(configuration, folder)
    made.run(progress=False)
    return made


def test_a_classifier_of_images_is_compared_like_a_language_model(digits: Configuration, tmp_path: Path) -> None:
    made = compare(digits, tmp_path)
    assert made.failures == []
    assert [result.strategy for result in made.results] == list(digits.strategies)
    assert all(len(result.tasks) == 5 and len(result.r) == 5 for result in made.results)
    assert made.results[-1].merges is not None
    assert made.results[0].label_accuracy == []


def test_its_runs_are_found_again(digits: Configuration, tmp_path: Path) -> None:
    first = compare(digits, tmp_path)
    assert Comparison(digits, tmp_path).results == first.results


def test_its_scores_are_those_of_its_weights(digits: Configuration) -> None:
    stream = Digits(digits).benchmark("1")
    model = Digits(digits).model(0, stream)
    still = Configuration(benchmark="digits", learning_rate=1e-12, **SHORT)
    x, y = zip(*((x, y) for x, y, *_ in stream.test_stream[0].dataset), strict=True)
    right = (model.eval()(torch.stack(x)).argmax(1) == torch.tensor(y)).double().mean()
    assert single_task_scores(model, stream, still, progress=False)[0] == pytest.approx(100 * float(right))


def test_weights_are_the_seed_s(digits: Configuration) -> None:
    stream = Digits(digits).benchmark("1")
    first, again, other = (list(Digits(digits).model(seed, stream).parameters()) for seed in (0, 0, 1))
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))


# LoRA


@pytest.fixture
def loaded() -> Callable[..., LanguageModel]:
    """Load the tiny model as a configuration asks for it."""
    return lambda **changes: LanguageModels(Configuration(model="tiny", device="cpu", **changes)).model(0)


def test_lora_s_settings_reach_peft(loaded: Callable[..., LanguageModel]) -> None:
    model = loaded(lora_rank=2, lora_alpha=5, lora_dropout=0.25, lora_targets=("k_proj",))
    (adapter,) = model.backbone.peft_config.values()
    assert (adapter.r, adapter.lora_alpha, adapter.lora_dropout) == (2, 5, 0.25)
    assert set(adapter.target_modules) == {"k_proj"}


def test_without_lora_all_weights_are_trained(loaded: Callable[..., LanguageModel]) -> None:
    assert all(parameter.requires_grad for parameter in loaded(lora=False).language_model.parameters())


# Optimizers


@pytest.mark.parametrize("name", ["adamw", "sgd", "adafactor"])
def test_an_optimizer_of_torch_trains(name: str, tmp_path: Path) -> None:
    settings = {**SHORT, "optimizer": name, "weight_decay": 0.01}
    made = compare(Configuration(benchmark="digits", strategies=("naive", "aim"), **settings), tmp_path)
    assert made.failures == []


def test_an_unknown_optimizer_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"optimizer: expected one of .*adamw.*, got 'adamm'"):
        Configuration(optimizer="adamm")


def test_a_memory_of_each_label_is_what_all_rehearsing_strategies_hold(tmp_path: Path) -> None:
    settings = {**SHORT, "memory": 0, "memory_per_label": 1, "epochs": 8}
    made = compare(Configuration(benchmark="digits", strategies=("replay", "aim", "der"), **settings), tmp_path)
    assert made.failures == []
    assert made.results[1].merges
