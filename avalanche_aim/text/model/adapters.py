"""Adapters of ``peft``: made, checked, saved and loaded, whatever their names and however many."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import nn

LORA = {"r": 8, "lora_alpha": 32, "lora_dropout": 0.05}
"""LoRA as in the paper's experiments; on the query and value projections, where peft's own table has these."""
CONFIG = "adapter_config.json"
ACTIVE = "avalanche_aim_adapters.json"
"""Which of several adapters are active, and which are trained; peft's files don't say."""
KINDS = ("LORA", "LOHA", "LOKR", "IA3", "VERA", "OFT")
"""Adapters that are layers within the model, and nothing besides."""
REASONS = {
    "ADALORA": "its ranks follow a schedule that peft wants called at every step",
    "XLORA": "it mixes adapters in peft's own forward pass",
}
"""Why some others are not among them."""
INITIALISATIONS = (True, False, "gaussian", "orthogonal")
"""Those that leave the base model's weights as they are, and need no data."""
MAMBA = ("falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h")
"""Kinds whose kernels read the weights of out_proj and conv1d past an adapter, which peft refuses."""
FEATURES = {
    "layer_replication": "copies layers of the base model",
    "alora_invocation_tokens": "is switched by tokens that peft's own forward pass looks for",
    "arrow_config": "mixes adapters in peft's own forward pass",
    "kasa_config": "changes the base model's weights",
    "monteclora_config": "adds a loss of its own",
    "velora_config": "needs peft's own training hooks",
    "megatron_config": "needs Megatron",
}
"""Settings of LoraConfig that this library can't honour, and why."""


def add_lora(backbone: Any, lora: Any) -> Any:
    """Wrap a model with fresh LoRA weights; only these are trainable.

    Where the settings name no target modules, they are those of peft's table for this kind of model, or all linear
    layers.

    :param lora: True, a dict of changes to :data:`LORA`, or a ``peft.LoraConfig``.
    :raises TypeError: for anything else.
    :raises ValueError: for settings that can't be honoured, or layers that the model does not have.
    """
    from peft import LoraConfig, PeftConfig, get_peft_model

    config: Any = lora
    if isinstance(lora, PeftConfig):
        check_settings(lora)
    elif lora is True or isinstance(lora, dict):
        task = "SEQ_2_SEQ_LM" if backbone.config.is_encoder_decoder else "CAUSAL_LM"
        config = LoraConfig(**{**LORA, "task_type": task, **(lora if isinstance(lora, dict) else {})})
        check_settings(config)
    else:
        raise TypeError(f"lora: expected True, False, a dict of settings or a peft.LoraConfig, got {lora!r}")
    targets = [config.target_modules]
    if config.target_modules is None and not getattr(config, "target_parameters", None):
        from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as TABLE

        kind = backbone.config.model_type
        targets = [*([TABLE[kind]] if kind in TABLE else []), "all-linear"]
    errors = []
    for target in targets:
        config.target_modules = target
        if target == "all-linear" and backbone.config.model_type in MAMBA and not config.exclude_modules:
            config.exclude_modules = ["out_proj", "conv1d"]
        try:
            return get_peft_model(backbone, config)
        except ValueError as error:  # the model has no such layers
            errors.append(" ".join(str(error).split()))
    raise ValueError(
        f"lora: expected target_modules that {backbone.config.model_type} has, got {targets} ({errors[-1]:.300}); give "
        f'them by lora={{"target_modules": [...]}}; its linear layers are {", ".join(_linear(backbone))}'
    )


def check_settings(config: Any) -> None:
    """Refuse settings of a ``PeftConfig`` that would be accepted and ignored; a ValueError says why."""
    kind = getattr(config.peft_type, "value", str(config.peft_type))
    if kind not in KINDS:
        reason = "its virtual tokens are added by peft's own forward pass" if config.is_prompt_learning else ""
        reason = REASONS.get(kind, reason)
        raise ValueError(
            f"lora: expected adapters of layers alone ({', '.join(KINDS)}), got {kind}"
            + (f": {reason}, which this library does not use" if reason else "")
        )
    start = getattr(config, "init_lora_weights", True)
    if start not in INITIALISATIONS:
        raise ValueError(
            f"init_lora_weights: expected one of {', '.join(map(repr, INITIALISATIONS))}, got {start!r}, which changes "
            "the base model's weights or needs data: a saved adapter would no longer fit its base model"
        )
    for name, reason in FEATURES.items():
        if getattr(config, name, None):
            raise ValueError(f"{name}: expected none, got {getattr(config, name)!r:.80}, which {reason}; leave it out")


def is_adapter_weight(name: str) -> bool:
    """Whether a weight of a ``PeftModel`` is an adapter's."""
    return ".lora_" in name or ".modules_to_save." in name


def save_adapters(backbone: Any, folder: Path, base: str | None, revision: str | None, **given: Any) -> None:
    """Save all adapters, each as peft does: "default" in the folder, others in folders by their names.

    :param base: what others know the base model by, or None to leave the name that it has.
    :param revision: of the base model.
    :param given: to ``save_pretrained``: the adapters' weights, where they are sharded.
    """
    # Embeddings are saved where they are trained; "auto" would ask the hub whether they were resized, which they aren't
    backbone.save_pretrained(folder, save_embedding_layers=False, **given)
    if base is not None:
        for path in (folder / CONFIG, *folder.glob(f"*/{CONFIG}")):
            if path.is_file():
                config = json.loads(path.read_text(encoding="utf-8"))
                config |= {"base_model_name_or_path": base, "revision": revision}
                path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    names = list(backbone.peft_config)
    if names != ["default"]:
        trained = [name for name in names if any(p.requires_grad for p in _weights(backbone, name))]
        said = {"active": list(backbone.active_adapters), "trained": trained}
        (folder / ACTIVE).write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def load_adapters(backbone: Any, folder: Path) -> Any:
    """Wrap a base model with all adapters of a folder, this library's or peft's, active and trainable as they were."""
    from peft import PeftConfig, PeftModel

    places = adapter_folders(folder)
    for place in places.values():
        check_settings(PeftConfig.from_pretrained(str(place)))
    (first, place), *others = places.items()
    model: Any = PeftModel.from_pretrained(backbone, str(place), adapter_name=first, is_trainable=True)
    for name, place in others:
        model.load_adapter(str(place), adapter_name=name, is_trainable=True)
    if (folder / ACTIVE).is_file():
        said = json.loads((folder / ACTIVE).read_text(encoding="utf-8"))
        model.base_model.set_adapter(said["active"])
        model.active_adapter = said["active"][0]
        for name in places:
            for weight in _weights(model, name):
                weight.requires_grad_(name in said["trained"])
    return model


def adapter_folders(folder: Path) -> dict[str, Path]:
    """Return where the adapters of a folder lie, by name; none where it holds none."""
    root = {"default": folder} if (folder / CONFIG).is_file() else {}
    if not root and (folder / "config.json").is_file():  # a whole model
        return {}
    named = {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{CONFIG}"))}
    # A Trainer keeps earlier states of an adapter beside it
    return {**root, **{name: place for name, place in named.items() if not name.startswith("checkpoint-")}}


def _weights(model: Any, adapter: str) -> Iterator[nn.Parameter]:
    for name, weight in model.named_parameters():
        if f".{adapter}." in f"{name}.":
            yield weight


def _linear(backbone: nn.Module) -> list[str]:
    from transformers.pytorch_utils import Conv1D

    linear = (name for name, module in backbone.named_modules() if isinstance(module, (nn.Linear, Conv1D)))
    return sorted({name.rpartition(".")[2] for name in linear})
