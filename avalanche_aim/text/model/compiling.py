"""Compiling a model's layers, so that a small model is not limited by launching one operation after another."""

import functools
import warnings
from typing import Any

import torch
from torch import nn

HOW: dict[str, Any] = {"dynamic": True, "options": {"fallback_random": True}}
"""Sizes are dynamic, and dropout draws what it draws without compilation."""
VARIANTS = 32
"""Compilations of one kind of layer: with gradients and without, with each kind of mask, for a batch of one row, …

Torch would stop at 8."""


def compile_layers(model: nn.Module, device: torch.device) -> None:
    """Compile each layer of a Transformers model by itself: one compilation serves all layers that are alike.

    Sizes of batches are dynamic, so that other lengths need no other compilation. Where the device's compiler does not
    work (no C++ compiler, no Triton) a warning says so, and the layers stay as they are: the same results, slower.

    :param model: the model, changed in place; parameters keep their names. Copies of it are not compiled.
    """
    if (problem := compiler_problem(device.type)) is not None:
        warnings.warn(f"the model runs uncompiled: {problem}", stacklevel=2)
        return
    settings: Any = torch._dynamo.config
    settings.recompile_limit = max(settings.recompile_limit, VARIANTS)
    for layer in layers_of(model):
        layer.compile(**HOW)


def layers_of(model: nn.Module) -> list[nn.Module]:
    """Return the layers that a Transformers model repeats; a ValueError says that it marks none."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    layers: list[nn.Module] = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers:
        raise ValueError(
            f"compile: expected a model with layers that Transformers knows, got {type(model).__name__}; leave it out"
        )
    return layers


@functools.cache
def compiler_problem(device: str) -> str | None:
    """Say why nothing can be compiled for a kind of device, or None."""
    one = torch.ones(8, device=device, requires_grad=True)
    try:
        torch.compile(lambda x: (x.sin() * x).sum(), **HOW)(one).backward()
    except Exception as error:  # of every kind: of torch, of Triton, of the compilers that they call
        return " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return None
