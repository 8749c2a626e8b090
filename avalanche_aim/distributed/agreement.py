"""Whether all processes train the same."""

import zlib
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from ..storage.tensors import content
from ..storage.versions import versions
from .processes import check_same
from .sharding import all_weights, is_sharded

REFUSED = ("AGEMPlugin", "GEMPlugin", "MIRPlugin")
"""Plugins of Avalanche that take gradients by themselves, or have loaders that share out examples."""


def check_agreement(strategy: Any, skipped: Any) -> None:
    """Refuse processes that train something else, and plugins that cannot be shared out.

    :raises ValueError: on every process; the message says what differs, and where.
    """
    if refused := [type(plugin).__name__ for plugin in strategy.plugins if type(plugin).__name__ in REFUSED]:
        raise ValueError(f"DataParallel: expected plugins that use the strategy's own batches and gradients, got "
                         f"{', '.join(refused)}; train with it in one process")  # fmt: skip
    optimizer, data = strategy.optimizer, strategy.adapted_dataset
    targets = " ".join(map(str, getattr(data, "targets", [])))
    values = {
        "versions": versions(),
        "strategy": [type(strategy).__name__, *(type(p).__name__ for p in strategy.plugins if p is not skipped)],
        "settings": {"train_mb_size": strategy.train_mb_size, "eval_mb_size": strategy.eval_mb_size,
                     "train_epochs": strategy.train_epochs, "optimizer": type(optimizer).__name__}
        | {key: str(value) for group in optimizer.param_groups for key, value in group.items() if key != "params"},
        "weights": {name: [str(p.dtype), *p.shape] for name, p in strategy.model.named_parameters()},
        "data": {"examples": len(data), "targets": zlib.crc32(targets.encode())},
        "frozen weights": zlib.crc32(b"".join(_sample_of_frozen(strategy.model))),
    }  # fmt: skip
    check_same(values, "start all processes with the same command, versions and data")


def check_weights(model: Any) -> None:
    """Refuse processes whose weights have come apart, with a ValueError on each; sharded ones are nowhere the same."""
    if not is_sharded(model):
        checksum = zlib.crc32(b"".join(content(weight) for weight in model.parameters() if weight.requires_grad))
        check_same({"weights": checksum}, "a plugin or a criterion must not depend on the process")


def _sample_of_frozen(model: Any) -> Iterator[bytes]:
    """Some numbers of each frozen weight that lies here whole: all of them would take seconds."""
    for weight in all_weights(model):
        if not weight.requires_grad and not weight.is_meta and type(weight.data) is Tensor:
            numbers = weight.reshape(-1)
            yield content(numbers[:: max(1, len(numbers) // 16)])
