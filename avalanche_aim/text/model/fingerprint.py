"""What identifies a tokenizer or a model, for the keys of caches."""

import hashlib
import importlib.metadata
import json
from typing import Any

from torch import Tensor

from ...storage.files import digest
from ...storage.tensors import content

PROBE = " Été — naïve text:\n\n1. “Don't” 42\tEND  Answer: yes"
"""Tokenised into the fingerprint: what Python code does around the tokenizer's own data shows here."""

SAMPLES = 64
"""Values of each frozen tensor that are looked at: frozen weights come from a file, they change altogether or not."""


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """Return a SHA-256 of everything that decides how a tokenizer splits a text."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        content = {"vocabulary": tokenizer.get_vocab(), "kind": type(tokenizer).__name__}
    else:
        content = json.loads(backend.to_str())
        # Left behind by the last call, not part of the tokenizer
        del content["truncation"], content["padding"]
    library = importlib.metadata.version("tokenizers")
    probe = [tokenizer(PROBE, add_special_tokens=special).input_ids for special in (True, False)]
    return digest([content, tokenizer.eos_token_id, probe, library])


def model_fingerprint(model: Any) -> dict[str, str]:
    """Return SHA-256s of the weights that training starts from, of the frozen ones, and of the configuration.

    The trainable weights count in full, the frozen ones by name, shape, dtype and a sample of values.
    """
    trainable, frozen = hashlib.sha256(), hashlib.sha256()
    for name, weight in sorted(model.backbone.named_parameters()):
        kind = frozen if not weight.requires_grad else trainable
        kind.update(f"{name} {tuple(weight.shape)} {weight.dtype}\n".encode())
        kind.update(content(weight if weight.requires_grad else _sample(weight)))
    return {"trainable": trainable.hexdigest(), "frozen": frozen.hexdigest(), "configuration": _configuration(model)}


def structure_fingerprint(model: Any) -> str:
    """Return a SHA-256 of all that decides how a model computes, but for its weights' values."""
    inner = model.language_model
    weights = [f"{name} {tuple(weight.shape)} {weight.dtype}" for name, weight in model.backbone.named_parameters()]
    attention = getattr(inner.config, "_attn_implementation", None)
    libraries = [importlib.metadata.version(name) for name in ("torch", "transformers", "peft")]
    return digest([type(inner).__name__, weights, _configuration(model), attention, str(model.autocast), libraries])


def _configuration(model: Any) -> str:
    config = model.language_model.config.to_dict()
    # Where the model came from, and which version wrote its file, do not change what it computes
    plain = {key: value for key, value in config.items() if key not in ("_name_or_path", "transformers_version")}
    adapters = {name: adapter.to_dict() for name, adapter in getattr(model.backbone, "peft_config", {}).items()}
    for adapter in adapters.values():
        adapter.pop("base_model_name_or_path", None)
    return digest(json.loads(json.dumps([plain, adapters], default=_plain, sort_keys=True)))


def _sample(weight: Tensor) -> Tensor:
    flat = weight.detach().reshape(-1)
    return flat[:: max(1, len(flat) // SAMPLES)]


def _plain(value: Any) -> Any:
    return sorted(map(str, value)) if isinstance(value, (set, frozenset)) else str(value)
