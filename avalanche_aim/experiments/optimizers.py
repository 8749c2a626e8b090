"""The optimizers that a run can be trained with."""

from collections.abc import Callable
from inspect import signature

import torch


def _optimizers() -> dict[str, Callable[..., torch.optim.Optimizer]]:
    """Those of torch that take any weights, a learning rate and weight decay."""
    kinds = [kind for kind in vars(torch.optim).values()
             if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)]  # fmt: skip
    return {
        kind.__name__.lower(): kind
        for kind in sorted(kinds, key=lambda kind: kind.__name__.lower())
        if {"lr", "weight_decay"} <= signature(kind).parameters.keys() and kind.__name__ != "Muon"  # for matrices only
    }


OPTIMIZERS = _optimizers()
"""Torch's optimizers by the name of their class in lower case."""
