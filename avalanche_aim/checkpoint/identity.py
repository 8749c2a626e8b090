"""Which run a checkpoint belongs to, so that none is resumed as another."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..distributed import world_size
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
    """Refuse to resume another run.

    :raises ValueError: if there are any; the message says which.
    """
    if found:
        shown = "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")
        raise ValueError(f"expected this run's checkpoints, but {folder} holds checkpoints of another run: "
                         f"{shown:.1500}; resume that run, or choose another folder")  # fmt: skip


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
