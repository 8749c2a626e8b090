"""Whether a batch is the one that a checkpoint expects next."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from ..distributed import DataParallel, gathered
from ..storage.tensors import content


def fingerprint(strategy: Any, batch: Any) -> str:
    """A checksum of the tensors of a batch, however they are nested: a sum over rows, whichever process has them."""
    tensors: list[Tensor] = []
    waiting = [batch]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Tensor):
            tensors.append(part.detach().cpu())
        elif isinstance(part, (list, tuple)):
            waiting.extend(part)
        elif isinstance(part, Mapping):
            waiting.extend(part.values())
    count = len(tensors[0]) if tensors and tensors[0].dim() else 0
    parts: list[Iterable[Tensor]] = [t if t.dim() and len(t) == count else [t] * count for t in tensors]
    rows = DataParallel.of(strategy).rows
    contents = [b"".join(map(content, row)) for row in zip(*parts, strict=True)][: None if rows is None else rows.count]
    numbers = [int.from_bytes(hashlib.sha256(row).digest()[:8]) for row in contents]
    return f"{sum(gathered(sum(numbers))) % 2**64:016x}"
