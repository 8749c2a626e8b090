"""Saving a trained model so that it can be used elsewhere: as an adapter of ``peft``, or merged into its base model."""

import shutil
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from ...distributed import is_main_process, is_sharded
from ...merging.task_vectors import whole
from ...storage.files import new_folder
from .adapters import adapter_folders, is_adapter_weight, load_adapters, save_adapters
from .model_card import TAG, Saved, Training, model_card
from .sources import copy_folder


def save_model(model: Any, folder: Path, training: Training) -> None:
    """Save the adapter, or the whole model where there is none; see ``LanguageModel.save_pretrained``."""
    _save(model, folder, training, lambda partial, state: _save_weights(model, partial, state), has_adapter(model))


def save_merged(model: Any, folder: Path, dtype: torch.dtype | None, training: Training) -> None:
    """Save a whole model with the adapter's changes added to its base model's weights.

    The live model, whose frozen weights its copies share and mixed precision may have rounded, is not what is
    merged: the base model is loaded once more, in the precision of its own files. Only a model without a source (made
    in memory, or handed to :class:`~avalanche_aim.LanguageModel`) is copied.
    """
    if not has_adapter(model):
        raise ValueError("expected a model with an adapter to merge, got one without: save_pretrained saves it whole")

    def write(partial: Path, state: dict[str, torch.Tensor] | None) -> None:
        merged = _merged(model, partial / "adapter", dtype, state)
        shutil.rmtree(partial / "adapter", ignore_errors=True)
        merged.save_pretrained(partial)

    _save(model, folder, training, write, adapter=False)


def has_adapter(model: Any) -> bool:
    """Whether a :class:`~avalanche_aim.LanguageModel` is trained by an adapter, or as a whole."""
    return hasattr(model.backbone, "peft_config")


def _save(
    model: Any,
    folder: Path,
    training: Training,
    write: Callable[[Path, dict[str, torch.Tensor] | None], None],
    adapter: bool,
) -> None:
    """Save weights, the tokenizer and a model card; a failure to write weights is an OSError like any other."""
    from safetensors import SafetensorError

    state = _gathered(model)
    if not is_main_process():
        return
    _check_target(model, folder)
    try:
        with new_folder(folder) as partial:
            write(partial, state)
            model.tokenizer.save_pretrained(partial)
            (partial / "README.md").write_text(model_card(_saved(model, adapter), training), encoding="utf-8")
    except SafetensorError as error:
        raise OSError(f"{folder}: the model was not saved ({error})") from error


def _gathered(model: Any) -> dict[str, torch.Tensor] | None:
    """Gather what is saved of a sharded model on the first process's CPU; None of a whole one."""
    if not is_sharded(model):
        return None
    state = {}
    for name, weight in model.backbone.named_parameters(remove_duplicate=False):
        if not has_adapter(model) or weight.requires_grad or is_adapter_weight(name):
            gathered = whole(weight.detach())
            if is_main_process():
                state[name] = gathered.cpu()
    return state


def _save_weights(model: Any, folder: Path, state: dict[str, torch.Tensor] | None) -> None:
    """Save what is trained, naming the base model as others know it, not by the cache folder it was found in."""
    given = {} if state is None else {"state_dict": state}
    if not has_adapter(model):
        model.backbone.save_pretrained(folder, **given)
        return
    name, revision = (model.base.name, model.base.revision) if model.base else (None, None)
    save_adapters(model.backbone, folder, name, revision, **given)


def _merged(model: Any, adapter: Path, dtype: torch.dtype | None, state: dict[str, torch.Tensor] | None) -> Any:
    live = model.language_model
    if model.base is None:
        if state is not None:
            raise ValueError("expected a sharded model that was loaded by a name, whose base is loaded again to merge "
                             "it, got one made in memory; save its adapter (save_pretrained)")  # fmt: skip
        wrapped = deepcopy(model.backbone)
        dtype = dtype or live.config.dtype or torch.float32
    else:
        # The class, not an Auto one: models with code of their own need no leave to run it a second time
        source, revision = live.config._name_or_path, model.base.revision
        base = type(live).from_pretrained(source, dtype=dtype or "auto", revision=revision)
        dtype = base.dtype
        _save_weights(model, adapter, state)
        wrapped = load_adapters(base, adapter)
    _prepare_layers(wrapped)
    merged = wrapped.merge_and_unload(safe_merge=True)
    merged.tie_weights()  # mixed precision unties what is tied
    return merged.to(dtype)


def _prepare_layers(wrapped: Any) -> None:
    """Put the weights to be changed in single precision, so that peft does not round what it adds to them.

    An adapter of weights that another layer has too is refused: merging would change them there as well.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    holders = Counter(id(p) for module in wrapped.modules() for p in module.parameters(recurse=False))
    for name, module in wrapped.named_modules():
        if isinstance(module, BaseTunerLayer):
            layer = module.get_base_layer()
            if any(holders[id(weight)] > 1 for weight in layer.parameters()):
                raise ValueError(
                    f"expected an adapter of layers with weights of their own, got one of {name}, which are tied to "
                    "another layer's: it cannot be merged; use the adapter itself (save_pretrained)"
                )
            for weight in layer.parameters():
                if weight.is_floating_point():
                    weight.data = weight.data.float()


def _saved(model: Any, adapter: bool) -> Saved:
    found = str(getattr(model.language_model.config, "_name_or_path", ""))
    note = ""
    if model.base is not None and Path(found) == copy_folder(model.base.name):
        note = (
            "The base model's weights were those of a copy converted from 4 bits, as the Hub could not be reached; "
            "with the Hub's own, outputs differ a little."
        )
    return Saved(adapter, model.is_causal, model.base, note)


def _check_target(model: Any, folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"{folder}: expected a folder, or none yet, got a file; choose another name")
    if any(folder.iterdir()) and not _ours(folder):
        raise ValueError(
            f"{folder}: expected a new or empty folder, or that of a model which this library saved, got one with "
            "something else in it; choose another, or empty it"
        )
    if has_adapter(model) and model.base is not None and folder.resolve() == Path(model.base.name):
        raise ValueError(f"{folder}: is the folder of the base model, which the adapter needs; choose another")


def _ours(folder: Path) -> bool:
    card = folder / "README.md"
    if not card.is_file() or not ((folder / "config.json").is_file() or adapter_folders(folder)):
        return False
    front, end, _ = card.read_text(encoding="utf-8", errors="replace").removeprefix("---\n").partition("\n---\n")
    return bool(end) and f"- {TAG}" in front.splitlines()
