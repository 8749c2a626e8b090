"""Strategies to compare, by name: what each adds to plain ``Naive`` training.

Replay and AIM rehearse the same examples: one :class:`~avalanche_aim.RehearsalMemory` of the same size and seed.
"""

from collections.abc import Callable, Iterable

from avalanche.core import BasePlugin
from avalanche.training.plugins import ReplayPlugin

from ..memory import RehearsalMemory
from ..merging import FixedInterval, OncePerTask, RandomInterval
from ..plugin import AIMMergingPlugin

Plugins = list[BasePlugin]


def _replay(memory: float | int, seed: int) -> Plugins:
    rehearsed = RehearsalMemory(memory, seed)
    return [ReplayPlugin(mem_size=rehearsed.max_size, storage_policy=rehearsed)]


STRATEGIES: dict[str, Callable[[float | int, int], Plugins]] = {
    "naive": lambda memory, seed: [],
    "replay": _replay,
    "aim": lambda memory, seed: [AIMMergingPlugin(memory=memory, seed=seed)],
    "aim-reference": lambda memory, seed: [AIMMergingPlugin("reference", memory=memory, seed=seed)],
    "fixed-interval": lambda memory, seed: [AIMMergingPlugin(schedule=FixedInterval(8), memory=memory, seed=seed)],
    "random-interval": lambda memory, seed: [
        AIMMergingPlugin(schedule=RandomInterval(8, seed), memory=memory, seed=seed)
    ],
    "single-merge": lambda memory, seed: [AIMMergingPlugin(schedule=OncePerTask(), memory=memory, seed=seed)],
}
"""Name → the plugins, made from the memory's size and the seed."""


def check_strategies(names: Iterable[str]) -> list[str]:
    """Return the names if each is known.

    :param names: names of strategies.
    :raises ValueError: for an unknown one, or none at all.
    """
    names = list(dict.fromkeys(names))
    unknown = [name for name in names if name not in STRATEGIES]
    if unknown or not names:
        raise ValueError(f"strategies: expected some of {', '.join(STRATEGIES)}; got {', '.join(unknown) or 'none'}")
    return names
