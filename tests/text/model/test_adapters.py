"""Adapters of peft: which layers they get, which settings are refused, and several of them saved and loaded."""

from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from families import build
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from avalanche_aim import LanguageModel
from avalanche_aim.text.model.adapters import adapter_folders, add_lora
from avalanche_aim.text.model.tiny import tiny_tokenizer

IDS = torch.tensor([[5, 6, 7, 8, 9], [3, 2, 11, 40, 7]])


def lora(**settings: Any) -> LoraConfig:
    return LoraConfig(**{"r": 4, "task_type": "CAUSAL_LM", "target_modules": ["q_proj", "v_proj"], **settings})


def targets(name: str) -> set[str]:
    model = add_lora(build(name), True)
    return {module.rpartition(".")[2] for module in model.peft_config["default"].target_modules}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    LanguageModel.from_pretrained("tiny", lora=False).save_pretrained(folder)
    return folder


def several(base: Path, names: list[str], active: list[str]) -> LanguageModel:
    """A model with adapters of these names, whose weights are not those that they began with."""
    first, *others = names
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), lora(), adapter_name=first)
    for name in others:
        model.add_adapter(name, lora())
    model.base_model.set_adapter(active)
    with torch.no_grad():
        for number, (name, weight) in enumerate(model.named_parameters()):
            if "lora" in name:
                weight += 0.01 * (number % 7)
    return LanguageModel(model, tiny_tokenizer("causal"))


def logits(model: LanguageModel) -> torch.Tensor:
    with torch.no_grad():
        return model.eval().language_model(input_ids=IDS).logits


# Target modules


@pytest.mark.parametrize(
    ("family", "expected"),
    [("gpt2", {"c_attn"}), ("gpt_neox", {"query_key_value"}), ("qwen3", {"q_proj", "v_proj"}), ("mt5", {"q", "v"})],
)
def test_targets_are_those_of_peft_s_table(family: str, expected: set[str]) -> None:
    assert targets(family) == expected


def test_a_kind_that_is_not_in_the_table_gets_all_its_linear_layers() -> None:
    assert targets("phi3") == {"qkv_proj", "o_proj", "gate_up_proj", "down_proj"}


def test_layers_that_are_not_there_are_named_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"expected target_modules that gpt2 has.*lora=\{.*layers are c_attn, c_fc"):
        add_lora(build("gpt2"), {"target_modules": ["q_proj"]})


# Settings that would be ignored


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (peft.AdaLoraConfig(total_step=50, target_modules=["q_proj"]), "got ADALORA: its ranks follow a schedule"),
        (peft.PromptTuningConfig(num_virtual_tokens=4), "got PROMPT_TUNING: its virtual tokens"),
        (peft.PrefixTuningConfig(num_virtual_tokens=4), "got PREFIX_TUNING: its virtual tokens"),
        (lora(init_lora_weights="pissa"), "got 'pissa', which changes the base model"),
        (lora(init_lora_weights="pissa_niter_4"), "got 'pissa_niter_4', which changes"),
        (lora(init_lora_weights="olora"), "got 'olora', which changes"),
        (lora(alora_invocation_tokens=[5]), "alora_invocation_tokens: expected none"),
        (lora(layer_replication=[(0, 2)]), "layer_replication: expected none"),
    ],
)
def test_settings_that_this_library_cannot_honour_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LanguageModel.from_pretrained("tiny", lora=settings)


def test_a_model_that_comes_with_such_settings_is_refused_too(base: Path) -> None:
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), lora(init_lora_weights="olora"))
    with pytest.raises(ValueError, match="got 'olora'"):
        LanguageModel(model, tiny_tokenizer("causal"))


@pytest.mark.parametrize("kind", [peft.LoHaConfig, peft.IA3Config])
def test_other_adapters_that_are_layers_are_trained_and_come_back(kind: Any, base: Path, tmp_path: Path) -> None:
    modules = {"feedforward_modules": []} if kind is peft.IA3Config else {}
    settings = kind(target_modules=["q_proj"], task_type="CAUSAL_LM", **modules)
    model = LanguageModel.from_pretrained(str(base), lora=settings)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1
    model.save_pretrained(tmp_path / "adapter")
    assert torch.equal(logits(LanguageModel.from_pretrained(str(tmp_path / "adapter"))), logits(model))


# Several


@pytest.mark.parametrize(
    ("names", "active"),
    [
        (["default", "second"], ["second"]),
        (["default", "second"], ["default", "second"]),
        (["mine"], ["mine"]),
        (["a", "b", "c"], ["c"]),
    ],
)
def test_adapters_of_any_name_and_number_come_back(
    names: list[str], active: list[str], base: Path, tmp_path: Path
) -> None:
    model = several(base, names, active)
    model.save_pretrained(tmp_path / "saved")
    loaded = LanguageModel.from_pretrained(str(tmp_path / "saved"))
    assert list(loaded.backbone.peft_config) == names
    assert list(loaded.backbone.active_adapters) == active
    assert loaded.state_dict().keys() == model.state_dict().keys()
    assert torch.equal(logits(loaded), logits(model))
    model.save_pretrained(tmp_path / "saved")  # the folder is known as ours


def test_a_frozen_adapter_beside_the_active_one_stays_frozen(base: Path, tmp_path: Path) -> None:
    model = several(base, ["default", "second"], ["default", "second"])
    for name, weight in model.backbone.named_parameters():
        weight.requires_grad_("second" in name)
    model = LanguageModel(model.backbone, model.tokenizer)
    model.save_pretrained(tmp_path)
    loaded = LanguageModel.from_pretrained(str(tmp_path))
    assert all("second" in name for name, _ in loaded.named_parameters())
    assert torch.equal(logits(loaded), logits(model))


def test_several_active_adapters_are_merged_together(base: Path, tmp_path: Path) -> None:
    model = several(base, ["default", "second"], ["default", "second"])
    model.save_merged(tmp_path)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        torch.testing.assert_close(merged(input_ids=IDS).logits, logits(model), rtol=1e-4, atol=1e-5)


def test_checkpoints_of_a_trainer_are_no_adapters(base: Path, tmp_path: Path) -> None:
    several(base, ["default"], ["default"]).save_pretrained(tmp_path / "saved")
    (tmp_path / "saved" / "checkpoint-5").mkdir()
    (tmp_path / "saved" / "checkpoint-5" / "adapter_config.json").write_text("{}")
    assert list(adapter_folders(tmp_path / "saved")) == ["default"]
