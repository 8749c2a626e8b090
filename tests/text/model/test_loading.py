"""Making a language model: LoRA, seeds, settings, and what is refused."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from language_models import NAMES, same

from avalanche_aim import LanguageModel
from avalanche_aim.text.model import sources


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides_the_lora_weights(name: str) -> None:
    first, again, other = (LanguageModel.from_pretrained(name, seed=seed) for seed in (3, 3, 4))
    assert same(first, again)
    assert not same(first, other)


@pytest.mark.parametrize("name", NAMES)
def test_loading_leaves_the_global_random_streams_alone(name: str) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    LanguageModel.from_pretrained(name)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]
    assert random.getstate() == before[2]


@pytest.mark.parametrize(("name", "targets"), [("tiny", {"q_proj", "v_proj"}), ("tiny-t5", {"q", "v"})])
def test_lora_is_that_of_the_paper(name: str, targets: set[str]) -> None:
    config = LanguageModel.from_pretrained(name).backbone.peft_config["default"]
    assert (config.r, config.lora_alpha, config.lora_dropout) == (8, 32, 0.05)
    assert set(config.target_modules) == targets


def test_single_lora_settings_can_be_changed() -> None:
    model = LanguageModel.from_pretrained("tiny", lora={"r": 2, "target_modules": ["k_proj"]})
    assert all("k_proj" in name for name, _ in model.named_parameters())
    assert {min(weight.shape) for weight in model.parameters()} == {2}
    assert model.backbone.peft_config["default"].lora_alpha == 32


def test_a_lora_config_of_peft_is_taken_as_it_is() -> None:
    from peft import LoraConfig

    model = LanguageModel.from_pretrained("tiny", lora=LoraConfig(r=3, target_modules=["o_proj"]))
    assert all("o_proj" in name for name, _ in model.named_parameters())
    assert {min(weight.shape) for weight in model.parameters()} == {3}


def test_lora_settings_of_another_type_are_refused() -> None:
    with pytest.raises(TypeError, match=r"lora: expected True, False, a dict.*got 8"):
        LanguageModel.from_pretrained("tiny", lora=8)


def test_a_tiny_model_takes_dtype_and_attention() -> None:
    for name in NAMES:
        model = LanguageModel.from_pretrained(name, lora=False, dtype="bfloat16", attn_implementation="eager")
        assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16}
        assert model.language_model.config._attn_implementation == "eager"
        full = LanguageModel.from_pretrained(name, lora=False)
        pairs = zip(model.parameters(), full.parameters(), strict=True)
        assert all(torch.equal(one, other.bfloat16()) for one, other in pairs)


@pytest.mark.parametrize("name", NAMES)
def test_an_argument_that_a_tiny_model_would_ignore_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match=r"expected no arguments but dtype and attn_implementation, got \['revision'\]"):
        LanguageModel.from_pretrained(name, revision="main")


def test_a_missing_model_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-model"):
        LanguageModel.from_pretrained(str(tmp_path / "no-model"))


def test_an_unknown_model_name_is_refused_with_other_ways(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sources.hub, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(sources.hub, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises((OSError, ValueError), match=r"'nobody/no-model'.*tiny"):
        LanguageModel.from_pretrained("nobody/no-model")


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_model_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    model = LanguageModel.from_pretrained(name, lora=False)
    model.save_pretrained(str(tmp_path))
    assert same(LanguageModel.from_pretrained(str(tmp_path), lora=False), model)


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_adapter_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    LanguageModel.from_pretrained(name, lora=False).save_pretrained(str(tmp_path / "base"))
    model = LanguageModel.from_pretrained(str(tmp_path / "base"))
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.01
    model.save_pretrained(str(tmp_path / "adapter"))
    assert same(LanguageModel.from_pretrained(str(tmp_path / "adapter")), model)


@pytest.mark.parametrize("lora", [{"r": 2}, False, None])
def test_lora_settings_for_a_saved_adapter_are_refused_with_its_base_model(lora: Any, tmp_path: Path) -> None:
    LanguageModel.from_pretrained("tiny", lora=False).save_pretrained(str(tmp_path / "base"))
    LanguageModel.from_pretrained(str(tmp_path / "base")).save_pretrained(str(tmp_path / "adapter"))
    with pytest.raises(ValueError, match=r"adapter, which comes with its own settings.*base'.*to start anew"):
        LanguageModel.from_pretrained(str(tmp_path / "adapter"), lora=lora)
