"""Replay as the tables around AIMMerging have it: memory and new data shuffled together."""

from typing import Any

from avalanche.training.plugins import SupervisedPlugin

from ...merging.state import Stateful
from ...rehearsal.memory import RehearsalMemory


class MixReplay(Stateful, SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """The memory is concatenated with the task's data, and the whole is shuffled in every epoch.

    Each remembered example is seen once in an epoch, as each new one: with a memory of 2 % and three past tasks of the
    same size, 5.7 % of all examples. Source: the public code of the group that wrote FOREVER (``CL_Memory``).
    """

    def __init__(self, memory: RehearsalMemory) -> None:
        super().__init__()
        self.storage_policy = memory

    def after_train_dataset_adaptation(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Add the memory to the data that the loader will shuffle."""
        if len(self.storage_policy) > 0:
            strategy.adapted_dataset = strategy.adapted_dataset.concat(self.storage_policy.buffer)

    def after_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.storage_policy.post_adapt(strategy, strategy.experience)
