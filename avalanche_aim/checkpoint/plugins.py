"""The state of plugins and metrics: by their own methods, or, for Avalanche's known ones, attribute by attribute."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import torch
from avalanche.training.plugins import EvaluationPlugin, EWCPlugin, LwFPlugin, ReplayPlugin
from avalanche.training.plugins.clock import Clock
from avalanche.training.storage_policy import ExemplarsBuffer
from avalanche.training.templates.base_sgd import PeriodicEval
from avalanche.training.utils import ParamData
from torch import Tensor, nn

from ..training.gradients import LossScaling
from . import buffers

PLAIN = (type(None), bool, int, float, str)
KNOWN: dict[type, tuple[str, ...]] = {
    Clock: (
        *("train_iterations", "train_exp_counter", "train_exp_epochs", "train_exp_iterations"),
        *("train_epoch_iterations", "total_iterations"),
    ),
    PeriodicEval: ("do_initial", "do_final", "_is_eval_updated"),
    EWCPlugin: ("saved_params", "importances"),
    LwFPlugin: ("lwf",),
    ReplayPlugin: (),  # its buffer is a memory
    LossScaling: (),
}
"""Plugins of known attributes."""


def has_own_state(part: Any) -> bool:
    """Say whether a part can return and restore its state."""
    return callable(getattr(part, "state_dict", None)) and callable(getattr(part, "load_state_dict", None))


def problem_with(plugin: Any) -> str | None:
    """Say why the state of a plugin can't be kept, or None if it can."""
    for buffer in memories([plugin]):
        if problem := buffers.problem_with(buffer):
            return f"{type(plugin).__name__} rehearses from {problem}"
    if has_own_state(plugin) or type(plugin) in KNOWN or isinstance(plugin, EvaluationPlugin) or not vars(plugin):
        return None
    return (f"{type(plugin).__name__} keeps what a checkpoint doesn't know; give it state_dict() and "
            "load_state_dict(state), which may return {} and do nothing if nothing depends on it")  # fmt: skip


def memories(plugins: Iterable[Any]) -> list[ExemplarsBuffer]:
    """Return the rehearsal buffers of plugins, each once."""
    found = [value for plugin in plugins for value in vars(plugin).values() if isinstance(value, ExemplarsBuffer)]
    return list({id(buffer): buffer for buffer in found}.values())


def take(plugin: Any) -> Any:
    """Return the state of a plugin that :func:`problem_with` has nothing against."""
    if has_own_state(plugin):
        return plugin.state_dict()
    if isinstance(plugin, EvaluationPlugin):
        return _take_evaluation(plugin)
    return {name: _taken(getattr(plugin, name)) for name in KNOWN.get(type(plugin), ())}


def give(plugin: Any, state: Any, model: nn.Module) -> None:
    """Restore what :func:`take` returned.

    :param model: the strategy's, of which copies are made where a plugin keeps one.
    """
    if has_own_state(plugin):
        plugin.load_state_dict(state)
    elif isinstance(plugin, EvaluationPlugin):
        _give_evaluation(plugin, state, model)
    else:
        _fill(plugin, state, model)


def _take_evaluation(plugin: EvaluationPlugin) -> dict[str, Any]:
    metrics = [metric.state_dict() if has_own_state(metric) else _attributes(metric) for metric in plugin.metrics]
    curves = {name: [list(x), list(y)] for name, (x, y) in plugin.all_metric_results.items() if _are_plain(y)}
    last = {name: value for name, value in plugin.last_metric_results.items() if isinstance(value, PLAIN)}
    return {"active": plugin.active, "metrics": metrics, "curves": curves, "last": last}


def _give_evaluation(plugin: EvaluationPlugin, state: Any, model: nn.Module) -> None:
    plugin.active = state["active"]
    for metric, kept in zip(plugin.metrics, state["metrics"], strict=True):
        if has_own_state(metric):
            metric.load_state_dict(kept)
        else:
            _fill(metric, kept, model)
    plugin.all_metric_results.clear()
    plugin.all_metric_results.update({name: (list(x), list(y)) for name, (x, y) in state["curves"].items()})
    plugin.last_metric_results = dict(state["last"])


def _are_plain(values: Iterable[Any]) -> bool:
    return all(isinstance(value, PLAIN) for value in values)


# Values that are no plain data, as a tuple of what they are and what is in them.
_OBJECT, _DATA, _MODEL = "object", "param data", "model"


class _Unknown(Exception):
    """A value of a kind that isn't kept."""


def _attributes(part: Any) -> dict[str, Any]:
    """The attributes of a metric, as far as they are plain data, tensors, or Avalanche's own running numbers."""
    taken = {}
    for name, value in vars(part).items():
        try:
            taken[name] = _taken(value)
        except _Unknown:
            continue
    return taken


def _taken(value: Any) -> Any:
    if isinstance(value, (*PLAIN, Tensor)):
        return value
    if isinstance(value, dict):
        return {key: _taken(item) for key, item in value.items()}
    if isinstance(value, (list, set)) and type(value) in (list, set):
        return type(value)(map(_taken, value))
    if isinstance(value, ParamData):
        return (_DATA, value.name, value.data)
    if isinstance(value, nn.Module):
        return (_MODEL, value.training, tensors_of(value))
    if type(value).__module__.startswith("avalanche."):
        return (_OBJECT, _attributes(value))
    raise _Unknown


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Return a model's weights and persistent buffers by name."""
    return {name: tensor for name, tensor in model.state_dict().items() if isinstance(tensor, Tensor)}


def _fill(part: Any, state: dict[str, Any], model: nn.Module) -> None:
    """Set the attributes that a part has; what it hasn't is not its own."""
    for name, value in state.items():
        if name in vars(part):
            setattr(part, name, _filled(getattr(part, name), value, model))


def _filled(now: Any, value: Any, model: nn.Module) -> Any:
    """Return a value as it was: ``now`` is what a fresh part has in its place."""
    if isinstance(value, dict) and isinstance(now, dict):
        fresh = {key: now[key] if key in now else _missing(now, key) for key in value}
        now.clear()
        now.update({key: _filled(fresh[key], item, model) for key, item in value.items()})
        return now
    if not isinstance(value, tuple):
        return value
    if value[0] == _DATA:
        return ParamData(value[1], init_tensor=value[2], device=value[2].device)
    if value[0] == _MODEL:
        kept = deepcopy(model) if now is None else now
        _set_tensors(kept, value[2])
        return kept.train(value[1])
    if now is not None:
        _fill(now, value[1], model)
    return now


def _missing(mapping: dict[Any, Any], key: Any) -> Any:
    """What a ``defaultdict`` puts under a new key; None for other ones, whose values are plain."""
    factory = getattr(mapping, "default_factory", None)
    return None if factory is None else factory()


def _set_tensors(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    own = {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers(remove_duplicate=False))}
    with torch.no_grad():
        for name, tensor in tensors.items():
            if own[name].shape == tensor.shape:
                own[name].copy_(tensor)
            else:
                own[name].data = tensor  # of a head that has grown since
