"""All that training depends on, taken from a strategy and given back to one."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from avalanche.benchmarks.utils import concat_datasets
from avalanche.training import Cumulative
from avalanche.training.storage_policy import ExemplarsBuffer
from torch import Tensor, nn

from ..rehearsal.memory import RehearsalMemory
from ..training.isolation import kept_random_state, restore_random_state
from . import buffers, plugins
from .buffers import Rows

# What Avalanche's templates keep. A template that keeps more must say itself what of it is state.
_TEMPLATE = frozenset((
    *("_criterion", "_distributed_check", "_eval_streams", "_stop_training", "adapted_dataset", "clock"),
    *("current_eval_stream", "dataloader", "device", "eval_every", "eval_mb_size", "evaluator", "experience"),
    *("is_training", "loss", "mb_output", "mbatch", "model", "optimized_param_id", "optimizer", "plugins"),
    *("retain_graph", "train_epochs", "train_mb_size"),
    *("_is_fitted", "_experiences"),  # of JointTraining, for the time of one call of train()
))  # fmt: skip


def problem_with(strategy: Any, with_plugins: Iterable[Any]) -> str | None:
    """Say why a strategy can't be resumed, or None if it can."""
    kept = sorted(vars(strategy).keys() - _TEMPLATE - ({"dataset"} if type(strategy) is Cumulative else set()))
    if kept and not plugins.has_own_state(strategy):
        return (f"the strategy {type(strategy).__name__} keeps what a checkpoint doesn't know ({', '.join(kept)}); "
                "give it state_dict() and load_state_dict(state)")  # fmt: skip
    return next((problem for problem in map(plugins.problem_with, with_plugins) if problem is not None), None)


def accumulate(strategy: Any, past: Sequence[Any]) -> None:
    """Give a cumulative strategy the data that it had seen."""
    if type(strategy) is Cumulative and past:
        strategy.dataset = concat_datasets([experience.dataset for experience in past])


def take(strategy: Any, left_out: frozenset[str], rows: Rows, skipped: Sequence[Any]) -> dict[str, Any]:
    """Return the state of a strategy between two iterations.

    :param left_out: names of frozen weights that training has never changed.
    :param skipped: plugins without state here.
    """
    kept = [plugin for plugin in strategy.plugins if plugin not in skipped]
    still_frozen = left_out & frozen_weights(strategy.model)
    tensors = plugins.tensors_of(strategy.model).items()
    state = {
        "model": {name: tensor for name, tensor in tensors if name not in still_frozen},
        "optimizer": _take_optimizer(strategy),
        "plugins": [[type(plugin).__name__, plugins.take(plugin)] for plugin in kept],
        "memories": [buffers.take_memory(memory, rows) for memory in rehearsal_memories(strategy)],
        "buffers": [buffers.take(buffer, rows) for buffer in _named(strategy)],
        "random": kept_random_state(strategy.device),
        "stop": strategy._stop_training,
    }
    if plugins.has_own_state(strategy):
        state["strategy"] = strategy.state_dict()
    return state


def give(strategy: Any, state: Mapping[str, Any], past: Sequence[Any], rows: Rows, skipped: Sequence[Any]) -> None:
    """Restore what :func:`take` returned.

    :param strategy: the training strategy, whose model is adapted to the current experience.
    :raises ValueError: if the state does not fit the strategy.
    """
    _give_model(strategy.model, state["model"])
    _give_optimizer(strategy, state["optimizer"])
    for memory, kept in zip(rehearsal_memories(strategy), state["memories"], strict=True):
        buffers.give_memory(memory, kept, past, rows)
    for buffer, kept in zip(_named(strategy), state["buffers"], strict=True):
        buffers.give(buffer, kept, rows)
    there = [plugin for plugin in strategy.plugins if plugin not in skipped]
    # Not strict: before training has begun, plugins that others append (GradientStep) are not there yet.
    for plugin, (name, kept) in zip(there, state["plugins"], strict=False):
        if type(plugin).__name__ != name:
            raise ValueError(f"plugins: expected {name}, as in the checkpoint, got {type(plugin).__name__}")
        plugins.give(plugin, kept, strategy.model)
    if plugins.has_own_state(strategy):
        strategy.load_state_dict(state["strategy"])
    if not isinstance(state["stop"], bool):
        raise ValueError(f"stop: expected true or false, got {state['stop']!r:.80}")
    strategy._stop_training = state["stop"]
    restore_random_state(state["random"], strategy.device)


def rehearsal_memories(strategy: Any) -> list[RehearsalMemory]:
    """Return the memories of a strategy's plugins, each once."""
    return [memory for memory in plugins.memories(strategy.plugins) if isinstance(memory, RehearsalMemory)]


def _named(strategy: Any) -> list[ExemplarsBuffer]:
    return [buffer for buffer in plugins.memories(strategy.plugins) if type(buffer) in buffers.NAMED]


def frozen_weights(model: nn.Module) -> frozenset[str]:
    """Return the names of a model's frozen weights."""
    return frozenset(name for name, p in model.named_parameters(remove_duplicate=False) if not p.requires_grad)


def _give_model(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    there = model.state_dict()
    if wrong := [name for name, t in tensors.items() if name not in there or there[name].shape != t.shape]:
        raise ValueError(
            f"expected a model that the checkpoint fits, got one with other weights: {', '.join(wrong[:3])}"
        )
    with torch.no_grad():
        for name, tensor in tensors.items():
            there[name].copy_(tensor)


def _take_optimizer(strategy: Any) -> dict[str, Any]:
    """By the weights' names: a model that has grown has its weights in another order than one that is rebuilt."""
    names = {id(weight): name for name, weight in strategy.model.named_parameters()}
    optimizer = strategy.optimizer
    groups = []
    for group in optimizer.param_groups:
        if foreign := sum(id(weight) not in names for weight in group["params"]):
            raise ValueError(f"expected an optimizer of the model's weights alone, got one with {foreign} others; a "
                             "checkpoint can't name those")  # fmt: skip
        rest = {key: value for key, value in group.items() if key != "params"}
        groups.append({**rest, "params": [names[id(weight)] for weight in group["params"]]})
    return {"groups": groups, "state": {names[id(w)]: dict(s) for w, s in optimizer.state.items() if id(w) in names}}


def _give_optimizer(strategy: Any, state: dict[str, Any]) -> None:
    weights = dict(strategy.model.named_parameters())
    optimizer = strategy.optimizer
    for group, kept in zip(optimizer.param_groups, state["groups"], strict=True):
        rates = kept["lr"], kept.get("initial_lr", 0.0)  # a schedule reads them before the first batch
        if not all(isinstance(rate, int | float | Tensor) for rate in rates):
            raise ValueError(f"optimizer: expected learning rates that are numbers, got {rates!r:.80}")
        group.clear()  # a schedule that ended took its own settings with it
        group.update({**kept, "params": [weights[name] for name in kept["params"]]})
    optimizer.state.clear()
    for name, kept in state["state"].items():
        optimizer.state[weights[name]] = kept
