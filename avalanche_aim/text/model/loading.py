"""Loading a Hugging Face model or adapter."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...distributed import is_main_process
from .adapters import CONFIG, adapter_folders, load_adapters
from .sources import resolve_model


def load_backbone(name: str, **kwargs: Any) -> tuple[Any, Any]:
    """Load a model and its tokenizer.

    :param name: a Hugging Face id, or a local folder with a model or with an adapter of ``peft``.
    :param kwargs: further arguments of Transformers' ``from_pretrained``; ``dtype`` is float32 by default.
    :return: the model, in a ``PeftModel`` with trainable weights if it is an adapter, and the tokenizer.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    source = resolve_model(name)
    if adapter_folders(Path(source)):
        return _load_adapter(source, **kwargs)
    # Without a word on it Transformers asks at the terminal whether to run code that comes with the model.
    code = {"trust_remote_code": kwargs.get("trust_remote_code", False)}
    with _readable(source):
        config = AutoConfig.from_pretrained(source, **code)
        kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        tokenizer = AutoTokenizer.from_pretrained(source, **code)
    given = {"dtype": torch.float32, **kwargs}
    with _readable(source):
        if _is_read_elsewhere() and given.keys() <= {"dtype", "attn_implementation", "revision", "trust_remote_code"}:
            return _empty(kind, source, config, **{**given, **code}), tokenizer
        return kind.from_pretrained(source, **given), tokenizer


def _is_read_elsewhere() -> bool:
    """Whether Accelerate, set up for FSDP, will hand out weights that only the first process has.

    Transformers did this by itself until it loaded FSDP models in ways of its own.
    """
    asked = (os.environ.get(name, "") for name in ("ACCELERATE_USE_FSDP", "FSDP_CPU_RAM_EFFICIENT_LOADING"))
    return not is_main_process() and all(value.lower() in ("1", "true", "yes") for value in asked)


def _empty(kind: Any, source: str, config: Any, revision: str | None = None, **given: Any) -> Any:
    """Make a model without memory for its weights; its buffers are real, since not all of them are handed out."""
    from accelerate import init_empty_weights
    from transformers import GenerationConfig

    if given["dtype"] == "auto":
        given["dtype"] = config.dtype
    with init_empty_weights(include_buffers=False):
        model = kind.from_config(config, **given).eval()
    with suppress(OSError):  # a model that has none of its own
        model.generation_config = GenerationConfig.from_pretrained(source, revision=revision or "main")
    return model


def check_adapter(name: str, backbone: Any, lora: Any) -> None:
    """Refuse any ``lora`` but True for a model that comes with its adapter."""
    if lora is not True:
        base = next(iter(backbone.peft_config.values())).base_model_name_or_path
        raise ValueError(
            f"lora: {name} holds an adapter, which comes with its own settings; expected True, got {lora!r:.80}. Leave "
            f"lora out to go on training this adapter, or load its base model {base!r} to start anew"
        )


def stays_put(model: Any) -> bool:
    """Whether a model has to stay where and as it was loaded: quantised, or spread over devices or to disk."""
    places = getattr(model, "hf_device_map", None) or {}
    return bool(getattr(model, "is_quantized", False)) or len(set(map(str, places.values()))) > 1


def checkpoint_layers(model: Any) -> None:
    """Let the backward pass compute each layer's activations anew instead of keeping them."""
    # Transformers 5 renames it on the way.
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})


def store_frozen(backbone: nn.Module, dtype: torch.dtype) -> None:
    """Store the weights of frozen linear layers in the dtype that autocast would cast them to at every pass.

    Outputs under autocast stay the same to the bit; the casts (a fifth of a training step of SmolLM2-135M on a CPU) and
    half the memory go. A layer that shares its weights with another module, such as a tied output layer, gets a copy.

    :param backbone: the model, changed in place; it then runs under autocast only.
    """
    holders = Counter(id(p) for module in backbone.modules() for p in module.parameters(recurse=False))
    for module in backbone.modules():
        if not isinstance(module, nn.Linear) or any(p.requires_grad for p in module.parameters()):
            continue
        weight: torch.Tensor = module.weight
        if weight.is_floating_point():  # quantised weights are integers
            stored = weight.detach().to(dtype)
            if holders[id(weight)] == 1:
                weight.data = stored
            else:
                module.weight = nn.Parameter(stored, requires_grad=False)


def _load_adapter(folder: str, **kwargs: Any) -> tuple[Any, Any]:
    from peft import PeftConfig

    with _readable(folder):
        places = adapter_folders(Path(folder))
        bases = {PeftConfig.from_pretrained(str(place)).base_model_name_or_path for place in places.values()}
    base = bases.pop()
    if bases or not base or not isinstance(base, str):
        raise ValueError(
            f"{folder}: expected an adapter that names its base model in {CONFIG}, got {base!r:.80}"
            + (f" and {bases}" if bases else "")
        )
    try:
        backbone, tokenizer = load_backbone(base, **kwargs)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{folder}: expected the base model that its {CONFIG} names: {error}") from error
    with _readable(folder):
        return load_adapters(backbone, Path(folder)), tokenizer


@contextmanager
def _readable(source: str) -> Iterator[None]:
    """Say which model it is that can't be loaded, whatever Transformers, tokenizers or peft make of its files."""
    try:
        yield
    except (ImportError, MemoryError, torch.OutOfMemoryError):  # not the model's fault, and clear as they are
        raise
    except Exception as error:  # of every kind, and a bare Exception for a damaged tokenizer.json
        words = " ".join(f"{type(error).__name__}: {error}".split())
        kind = OSError if isinstance(error, OSError) else ValueError
        raise kind(
            f"{source}: expected a model that can be loaded with these arguments, got {words:.600}; check the "
            "arguments, or copy or fetch the model again"
        ) from error
