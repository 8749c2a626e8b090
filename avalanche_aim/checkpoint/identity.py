"""Which run a checkpoint belongs to, so that none goes on in another."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..distributed import world_size
from . import plugins
from .encoding import encode
from .state import frozen_weights

# What Avalanche's templates keep. A template that keeps more must say itself what of it is state.
_TEMPLATE = (
    *("_criterion", "_distributed_check", "_eval_streams", "_stop_training", "adapted_dataset", "clock"),
    *("current_eval_stream", "dataloader", "device", "eval_every", "eval_mb_size", "evaluator", "experience"),
    *("is_training", "loss", "mb_output", "mbatch", "model", "optimized_param_id", "optimizer", "plugins"),
    *("retain_graph", "train_epochs", "train_mb_size"),
    *("_is_fitted", "_experiences"),  # of JointTraining, for the time of one call of train()
)


def problem_with(strategy: Any, with_plugins: Iterable[Any]) -> str | None:
    """Say why a strategy can't be resumed, or None if it can.

    :param strategy: the training strategy.
    :param with_plugins: those of its plugins that count.
    """
    kept = sorted(vars(strategy).keys() - set(_TEMPLATE))
    if kept and not plugins.has_own_state(strategy):
        return (f"the strategy {type(strategy).__name__} keeps what a checkpoint doesn't know ({', '.join(kept)}); "
                "give it state_dict() and load_state_dict(state)")  # fmt: skip
    return next((problem for problem in map(plugins.problem_with, with_plugins) if problem is not None), None)


def identity(strategy: Any, stream: Sequence[Any], about: Mapping[str, Any], skipped: Sequence[Any]) -> dict[str, Any]:
    """Return what must be the same when a run goes on, as plain data; of a strategy that has not been trained yet.

    :param strategy: the training strategy.
    :param stream: what it is trained on in turn: experiences, or streams of them.
    :param about: what the user wants to be the same besides.
    :param skipped: plugins that do not count.
    """
    frozen = frozen_weights(strategy.model)
    weights = strategy.model.named_parameters(remove_duplicate=False)
    return {
        "strategy": type(strategy).__name__,
        "plugins": [type(plugin).__name__ for plugin in strategy.plugins if plugin not in skipped],
        "weights": {n: [str(p.dtype), *p.shape] for n, p in weights if n not in frozen},
        "optimizer": [type(strategy.optimizer).__name__, _plain(strategy.optimizer.defaults)],
        "train_mb_size": strategy.train_mb_size,
        "processes": world_size(),
        "train_epochs": strategy.train_epochs,
        "experiences": [_data(list(experiences(item))) for item in stream],
        "about": _plain(dict(about)),
    }


def experiences(item: Any) -> Iterable[Any]:
    """Return the experiences that one call of ``train`` is given.

    :param item: an experience, or a stream of them.
    """
    return [item] if hasattr(item, "dataset") else item


def differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say in what two runs differ.

    :param saved: the identity in the checkpoint.
    :param now: the one of the run that is to go on.
    """
    return [text for name in now for text in _differences(name, saved.get(name), now[name])]


def refuse_another_run(found: Sequence[str], folder: Any) -> None:
    """Refuse to go on with another run.

    :param found: the :func:`differences`.
    :param folder: of the checkpoints.
    :raises ValueError: if there are any; the message says which.
    """
    if found:
        shown = "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")
        raise ValueError(f"expected this run's checkpoints, but {folder} holds checkpoints of another run: "
                         f"{shown:.1500}; go on with that run, or choose another folder")  # fmt: skip


def _differences(name: str, saved: Any, now: Any) -> list[str]:
    if saved == now:
        return []
    if isinstance(saved, dict) and isinstance(now, dict):
        keys = {**saved, **now}
        return [text for key in keys for text in _differences(f"{name}.{key}", saved.get(key), now.get(key))]
    return [f"{name} was {saved!r}, is {now!r}"]


def _data(trained: Sequence[Any]) -> dict[str, Any]:
    """Size and targets of what is trained on: the cheap part of its content."""
    targets = [str(target) for e in trained for target in getattr(e.dataset, "targets", [])]
    names = [name for name in (getattr(e, "task_name", None) for e in trained) if name is not None]
    return {
        "examples": sum(len(e.dataset) for e in trained),
        "targets": hashlib.sha256(" ".join(targets).encode()).hexdigest()[:16],
        "tasks": names,
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """As JSON gives it back, so that it can be compared."""
    kept = {name: value for name, value in values.items() if not callable(value)}
    tree: dict[str, Any] = encode({name: _listed(value) for name, value in kept.items()})[0]
    return tree


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _listed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return list(map(_listed, value))
    return value if isinstance(value, plugins.PLAIN) else str(value)
