"""Which run a checkpoint belongs to, and which batch comes next, so that none is resumed as another."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from ..distributed import DataParallel, gathered, world_size
from ..storage.tensors import content
from .buffers import experiences
from .plugins import PLAIN
from .state import frozen_weights


def identity(strategy: Any, stream: Sequence[Any], about: Mapping[str, Any], skipped: Sequence[Any]) -> dict[str, Any]:
    """Return what must be the same when a run is resumed, as plain data; of a strategy that has not been trained yet.

    :param stream: what it is trained on in turn: experiences, or streams of them.
    :param about: what the user wants to be the same besides.
    :param skipped: plugins that do not count.
    """
    frozen = frozen_weights(strategy.model)
    weights = strategy.model.named_parameters(remove_duplicate=False)
    settings = {name: value for name, value in strategy.optimizer.defaults.items() if not callable(value)}
    return {
        "strategy": type(strategy).__name__,
        "plugins": [type(plugin).__name__ for plugin in strategy.plugins if plugin not in skipped],
        "weights": {n: [str(p.dtype), *p.shape] for n, p in weights if n not in frozen},
        "optimizer": [type(strategy.optimizer).__name__, _plain(settings)],
        "batch_size": strategy.train_mb_size * world_size(),
        "train_epochs": strategy.train_epochs,
        "experiences": [_data(list(experiences(item))) for item in stream],
        "about": _plain(about),
    }


def differences(saved: Any, now: Any, name: str = "") -> Iterator[str]:
    """Yield in what two runs differ."""
    if isinstance(saved, Mapping) and isinstance(now, Mapping):
        for key in {**saved, **now}:
            yield from differences(saved.get(key), now.get(key), f"{name}.{key}".removeprefix("."))
    elif saved != now:
        yield f"{name} was {saved!r}, is {now!r}"


def refuse_another_run(found: Sequence[str], folder: Any) -> None:
    """Refuse to resume another run, with a ValueError that names its :func:`differences`."""
    if found:
        shown = "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")
        raise ValueError(f"expected this run's checkpoints, but {folder} holds checkpoints of another run: "
                         f"{shown:.1500}; resume that run, or choose another folder")  # fmt: skip


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


def _data(trained: Sequence[Any]) -> dict[str, Any]:
    """Size and targets of what is trained on: the cheap part of its content."""
    targets = [str(target) for e in trained for target in getattr(e.dataset, "targets", [])]
    names = [name for name in (getattr(e, "task_name", None) for e in trained) if name is not None]
    return {
        "examples": sum(len(e.dataset) for e in trained),
        "targets": hashlib.sha256(" ".join(targets).encode()).hexdigest()[:16],
        "tasks": names,
    }


def _plain(value: Any) -> Any:
    """Return a setting as data that can be saved and compared."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return list(map(_plain, value))
    return value if isinstance(value, PLAIN) and value == value else str(value)
