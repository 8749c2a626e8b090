"""Saved models, loaded by plain peft and Transformers, and what a save leaves alone."""

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from avalanche_aim import LanguageModel
from avalanche_aim.text.model import export, loading

KINDS = {"tiny": AutoModelForCausalLM, "tiny-t5": AutoModelForSeq2SeqLM}
IDS = torch.tensor([[5, 6, 7, 8, 9], [3, 2, 11, 40, 7]])
NO_SPACE = OSError(errno.ENOSPC, "No space left on device")

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture(scope="module", params=KINDS)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Return a kind of tiny model and the folder of a saved base model of it."""
    folder = tmp_path_factory.mktemp("base")
    LanguageModel.from_pretrained(request.param, lora=False).save_pretrained(folder)
    return request.param, folder


def trained(folder: Path | str, **arguments: Any) -> LanguageModel:
    """A model whose LoRA weights are not zero."""
    model = LanguageModel.from_pretrained(str(folder), **arguments)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=generator)
    return model.eval()


def logits(network: Any) -> Tensor:
    network.eval()
    with torch.no_grad():
        if network.config.is_encoder_decoder:
            return network(input_ids=IDS, labels=IDS).logits
        return network(input_ids=IDS).logits


def everything(model: LanguageModel) -> list[Any]:
    """All tensors of a model, with what they share, their dtype and whether they are trained."""
    tensors = [*model.backbone.named_parameters(remove_duplicate=False), *model.backbone.named_buffers()]
    return [(name, id(t), t.dtype, t.requires_grad, t.detach().clone().float().tolist()) for name, t in tensors]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Loaded elsewhere


def test_plain_peft_loads_an_adapter_with_the_same_outputs(base: tuple[str, Path], tmp_path: Path) -> None:
    kind, folder = base
    model = trained(folder)
    model.save_pretrained(tmp_path / "adapter")
    loaded = PeftModel.from_pretrained(KINDS[kind].from_pretrained(folder), tmp_path / "adapter")
    assert torch.equal(logits(loaded), logits(model.language_model))
    assert not torch.allclose(logits(loaded), logits(KINDS[kind].from_pretrained(folder)), atol=1e-3)
    assert AutoTokenizer.from_pretrained(tmp_path / "adapter")("one two").input_ids


@pytest.mark.parametrize("autocast", [None, torch.bfloat16])
def test_a_merged_model_needs_no_peft_and_keeps_the_base_s_precision(
    base: tuple[str, Path], autocast: torch.dtype | None, tmp_path: Path
) -> None:
    kind, folder = base
    model = trained(folder, autocast=autocast)  # bf16 stores frozen layers rounded, and unties what is tied
    model.save_merged(tmp_path / "merged")
    model.save_pretrained(tmp_path / "adapter")
    merged = KINDS[kind].from_pretrained(tmp_path / "merged")
    assert merged.dtype == torch.float32
    assert "adapter" not in names(tmp_path / "merged")
    whole = PeftModel.from_pretrained(KINDS[kind].from_pretrained(folder), tmp_path / "adapter")
    torch.testing.assert_close(logits(merged), logits(whole), rtol=1e-4, atol=1e-5)


def test_a_base_in_half_precision_gives_a_merged_model_in_it_unless_told_otherwise(tmp_path: Path) -> None:
    LanguageModel.from_pretrained("tiny", lora=False, dtype=torch.bfloat16).save_pretrained(tmp_path / "base")
    model = trained(tmp_path / "base")
    assert model.language_model.dtype == torch.float32
    model.save_merged(tmp_path / "half")
    model.save_merged(tmp_path / "single", dtype=torch.float32)
    half, single = (AutoModelForCausalLM.from_pretrained(tmp_path / name) for name in ("half", "single"))
    assert (half.dtype, single.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(logits(single), logits(model.language_model), rtol=1e-4, atol=1e-5)
    for rounded, weight in zip(half.parameters(), single.parameters(), strict=True):
        assert torch.equal(rounded, weight.to(torch.bfloat16))  # rounded once, from the exact sum


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_made_in_memory_can_be_merged_too(kind: str, tmp_path: Path) -> None:
    model = trained(kind)
    model.save_merged(tmp_path)
    merged = KINDS[kind].from_pretrained(tmp_path)
    torch.testing.assert_close(logits(merged), logits(model.language_model), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("autocast", [None, torch.bfloat16])
def test_saving_leaves_the_live_model_as_it_was_to_the_bit(
    base: tuple[str, Path], autocast: torch.dtype | None, tmp_path: Path
) -> None:
    for model in (trained(base[1], autocast=autocast), trained(base[0], autocast=autocast)):
        before, modes = everything(model), [module.training for module in model.backbone.modules()]
        model.save_pretrained(tmp_path / "adapter")
        model.save_merged(tmp_path / "merged")
        assert everything(model) == before
        assert [module.training for module in model.backbone.modules()] == modes


# The base model's name


def test_the_adapter_names_the_hub_s_id_not_the_folder_it_was_found_in(
    base: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "resolve_model", lambda name: str(base[1]) if name == "lab/model" else name)
    trained("lab/model").save_pretrained(tmp_path / "first")
    trained(tmp_path / "first").save_pretrained(tmp_path / "second")  # an adapter that goes on keeps it
    for folder in (tmp_path / "first", tmp_path / "second"):
        config = json.loads((folder / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == "lab/model"
        assert "base_model: lab/model\n" in (folder / "README.md").read_text()
        assert str(base[1]) not in (folder / "README.md").read_text()


def test_a_base_in_a_folder_is_named_by_its_whole_path(
    base: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(base[1].parent)
    LanguageModel.from_pretrained(base[1].name).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["base_model_name_or_path"] == str(base[1])
    card = (tmp_path / "README.md").read_text()
    assert "base_model:" not in card and f"Base model: `{base[1]}`" in card


def test_weights_of_a_copy_are_told(base: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "copy_folder", lambda name: base[1])
    LanguageModel.from_pretrained(str(base[1])).save_pretrained(tmp_path)
    assert "a copy converted from 4 bits" in (tmp_path / "README.md").read_text()


# What is not done


def test_a_folder_with_something_else_in_it_is_refused(llama: LanguageModel, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("my thesis")
    (tmp_path / "config.json").write_text("{}")
    for save in (llama.save_pretrained, llama.save_merged):
        with pytest.raises(ValueError, match="expected a new or empty folder, or that of a model which this library"):
            save(tmp_path)
        with pytest.raises(ValueError, match="expected a folder, or none yet, got a file"):
            save(tmp_path / "README.md")
    assert names(tmp_path) == ["README.md", "config.json"]


def test_an_earlier_save_is_replaced_as_a_whole(llama: LanguageModel, tmp_path: Path) -> None:
    llama.save_merged(tmp_path / "model")
    llama.save_pretrained(str(tmp_path / "model"))
    assert "model.safetensors" not in names(tmp_path / "model")
    assert names(tmp_path) == ["model"]


def test_an_adapter_never_replaces_its_base(base: tuple[str, Path]) -> None:
    model, before = trained(base[1]), names(base[1])
    for save in (model.save_pretrained, model.save_merged):
        with pytest.raises(ValueError, match="is the folder of the base model, which the adapter needs"):
            save(base[1])
    assert names(base[1]) == before


def test_there_is_nothing_to_merge_without_an_adapter(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="got one without: save_pretrained saves it whole"):
        LanguageModel.from_pretrained("tiny", lora=False).save_merged(tmp_path / "merged")


def test_an_adapter_of_tied_weights_is_not_merged(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="tie"):
        model = LanguageModel.from_pretrained("tiny-t5", lora={"target_modules": ["q", "lm_head"]})
    with pytest.raises(ValueError, match="lm_head, which are tied to another layer's: it cannot be merged"):
        model.save_merged(tmp_path / "merged")
    assert names(tmp_path) == []


@pytest.mark.parametrize("error", [NO_SPACE, KeyboardInterrupt()])
@pytest.mark.parametrize("merged", [False, True])
def test_a_save_that_fails_leaves_what_was_there_and_no_half(
    error: BaseException,
    merged: bool,
    llama: LanguageModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    same: Callable[[Any, Any], bool],
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise error

    save = llama.save_merged if merged else llama.save_pretrained
    save(tmp_path / "model")
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    monkeypatch.setattr(type(llama.tokenizer), "save_pretrained", full)
    for folder in (tmp_path / "model", tmp_path / "new"):
        with pytest.raises(type(error)):
            save(folder)
    assert names(tmp_path) == ["model"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == before


def test_weights_that_cannot_be_written_are_an_oserror(
    llama: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import SafetensorError

    def full(*_: Any, **__: Any) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device")

    monkeypatch.setattr(type(llama.backbone), "save_pretrained", full)
    with pytest.raises(OSError, match=r"model: the model was not saved .*No space left"):
        llama.save_pretrained(tmp_path / "model")
    assert names(tmp_path) == []
