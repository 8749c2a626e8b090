"""The order of the training data, drawn from a random stream of its own."""

from collections.abc import Iterator
from typing import Any

import torch
from avalanche.training.plugins import SupervisedPlugin

from ..merging.state import Stateful
from .isolation import RandomStream


class DataOrder(Stateful, SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Lets the training data loader, whichever it is, draw from a random stream of its own.

    Which rows come when, a replay loader's rows too, and what random transforms make of them then depends on this seed
    alone: not on dropout, which draws from the global streams, and not on how often anything else draws::

        plugins=[DataOrder(seed=0), AIMMergingPlugin(seed=0)]

    :param seed: of the order.
    """

    STATE = ("stream",)

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.stream = RandomStream(seed)
        self.epoch_start = RandomStream(seed)
        """The stream as it was when the current epoch began."""

    @classmethod
    def of(cls, strategy: Any) -> "DataOrder | None":
        """Return the plugin of a strategy, or None if it has none."""
        return next((plugin for plugin in strategy.plugins if isinstance(plugin, cls)), None)

    def before_training_epoch(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Take the loader over; by now a replay plugin has its own in place."""
        if not isinstance(strategy.dataloader, OrderedLoader):
            strategy.dataloader = OrderedLoader(strategy.dataloader, self, strategy.device)


class OrderedLoader:
    """A data loader that draws from the stream of a :class:`DataOrder`, and is itself in all else."""

    def __init__(self, loader: Any, order: DataOrder, device: torch.device) -> None:
        self.loader = loader
        self.order = order
        self.device = device

    def __len__(self) -> int:
        return len(self.loader)

    def __getattr__(self, name: str) -> Any:
        if name == "loader":  # while it is being copied or unpickled
            raise AttributeError(name)
        return getattr(self.loader, name)

    def __iter__(self) -> Iterator[Any]:
        self.order.epoch_start.load_state_dict(self.order.stream.state_dict())
        with self.order.stream.on(self.device):
            batches = iter(self.loader)
        while True:
            # Loaders draw lazily, some of them in the middle of an epoch.
            with self.order.stream.on(self.device):
                try:
                    batch = next(batches)
                except StopIteration:
                    return
            yield batch
