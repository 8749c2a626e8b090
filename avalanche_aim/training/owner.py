"""Which strategy a plugin belongs to, and whether it can take part in its training."""

import weakref
from typing import Any


class Owner:
    """The strategy that a plugin was first trained in. A copy of the plugin belongs to none yet."""

    def __init__(self) -> None:
        self._strategy: Any = lambda: None

    def __reduce__(self) -> tuple[type["Owner"], tuple[()]]:
        return Owner, ()

    def check(self, strategy: Any, plugin: Any) -> None:
        """Refuse a strategy in which the plugin would do nothing, or something wrong.

        :raises ValueError: for a second plugin of its kind, or a second strategy.
        :raises TypeError: for a strategy without an optimizer.
        """
        name, template = type(plugin).__name__, type(strategy).__name__
        if (several := sum(isinstance(other, type(plugin)) for other in strategy.plugins)) > 1:
            raise ValueError(f"expected one {name} in a strategy, got {several}; give one of them all settings")
        if strategy.optimizer is None:
            raise TypeError(f"{name}: expected a strategy that trains with an optimizer, got {template}, which fits "
                            "its model otherwise; leave the plugin out")  # fmt: skip
        owner = self._strategy()
        if owner is not None and owner is not strategy:
            raise ValueError(f"expected one strategy for each {name}, got a second one ({template}): its memory and "
                             "signals belong to the first; make a new plugin")  # fmt: skip
        self._strategy = weakref.ref(strategy)
