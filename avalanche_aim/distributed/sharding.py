"""Models that are sharded over processes: torch's ``fully_shard`` (FSDP2), also as Accelerate sets it up."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from ..merging import task_vectors

WHOLE = {
    "EWCPlugin": "importances",
    "MASPlugin": "importances",
    "SynapticIntelligencePlugin": "importances",
    "RWalkPlugin": "importances",
    "LwFPlugin": "a copy of the model",
    "WeightSpaceConsolidation": "ranks of weights",
    "MagMax": "whole task vectors",
    "SLAO": "whole matrices",
}
"""Plugins that need whole weights, and what for."""


def all_weights(model: Any) -> Iterator[Tensor]:
    """Return all weights of a model, those that a LanguageModel hides as well."""
    weights: Iterator[Tensor] = getattr(model, "backbone", model).parameters()
    return weights


def is_sharded(model: Any) -> bool:
    """Whether some weight of a model is spread over processes."""
    return any(map(task_vectors.is_sharded, all_weights(model)))


def reshard(model: Any) -> None:
    """Drop the whole weights that a pass without gradient leaves in memory, and that merges would not change."""
    from torch.distributed.fsdp import FSDPModule

    for module in getattr(model, "backbone", model).modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def check_sharded(strategy: Any) -> None:
    """Refuse plugins that need whole weights beside a sharded model, and one of which only a part is sharded."""
    trained = {name: p for name, p in strategy.model.named_parameters() if p.requires_grad}
    if left := [name for name, weight in trained.items() if not task_vectors.is_sharded(weight)]:
        raise ValueError(f"expected a model whose trainable weights are all sharded, since fully_shard reduces no "
                         f"others' gradients, got {len(left)} that are whole, {left[0]} first; leave ignored_params "
                         "out")  # fmt: skip
    needs = {type(plugin).__name__: WHOLE.get(type(plugin).__name__) for plugin in strategy.plugins}
    refused = [f"{name} ({need})" for name, need in needs.items() if need]
    if refused:
        raise ValueError(f"expected plugins that work on sharded weights, got {', '.join(refused)}, which need whole "
                         "ones; train with DDP: leave the model whole")  # fmt: skip


def shard(model: Any, accelerator: Any) -> None:
    """Shard a model as Accelerate is set up for, in place; call it before the optimizer is made.

    Where Accelerate is not set up for FSDP2, nothing is done, so that one script runs with any engine.

    :param model: a :class:`~avalanche_aim.LanguageModel`, or any module.
    :param accelerator: an ``accelerate.Accelerator``.
    :raises ValueError: for FSDP of version 1.
    """
    if accelerator.distributed_type != "FSDP":
        return
    if not accelerator.is_fsdp2:
        raise ValueError("expected FSDP of version 2, got 1; set fsdp_version: 2 in the config of Accelerate")
    from accelerate.utils import fsdp2_prepare_model

    fsdp2_prepare_model(accelerator, getattr(model, "language_model", model))
    getattr(model, "register_trainable", lambda: None)()
