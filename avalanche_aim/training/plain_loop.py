"""A training loop in plain torch as the engine that the method drives."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..merging import IterativeMerging


class PlainLoop:
    """Trains a model on batches of (inputs, targets), with the method at work::

        loop = PlainLoop(model, optimizer, nn.CrossEntropyLoss(), batch_size=8)
        for number, batches in enumerate(tasks):
            loop.train(merging, batches, number)

    :param criterion: (output, targets) → loss, a mean over examples.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        criterion: Callable[[Any, Any], Tensor],
        batch_size: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.criterion = criterion
        self.batch_size = batch_size
        self.device = torch.device(device)
        self.at_once: int | None = None
        self.iterations: int | None = None
        self.training_loss = torch.zeros(())

    def train(self, merging: IterativeMerging, batches: Iterable[Any], experience: int) -> None:
        """Train on one experience, with one batch of (inputs, targets) for each iteration."""
        self.iterations = len(batches) if isinstance(batches, Sized) else None
        self.model.train()
        merging.start(self, experience)
        for batch in batches:
            self.optimizer.zero_grad()
            loss = self.loss(batch)
            self.backward(loss)
            self.optimizer.step()
            self.training_loss = loss.detach()
            merging.after_iteration(self)
        merging.end(self)

    def loss(self, batch: Any, at_once: int | None = None) -> Tensor:
        """Return the loss of a batch; the gradients of all parts but the last are made already.

        :param at_once: examples of a part; all of them by default.
        """
        inputs, targets = (field.to(self.device) for field in batch[:2])
        size = at_once or len(inputs)
        total = torch.zeros((), device=self.device)
        for x, y in zip(inputs.split(size), targets.split(size), strict=True):
            if total.requires_grad:
                self.backward(total)
            loss = self.criterion(self.model(x), y) * (len(x) / len(inputs))
            total = total.detach() + loss
        return total

    def backward(self, loss: Tensor) -> None:
        """Make the gradients of a loss from :meth:`loss`."""
        loss.backward()

    def mean(self, value: float) -> float:
        """Return the value: there is one process."""
        return value

    @contextmanager
    def kept(self) -> Iterator[None]:
        """The loop keeps nothing that a pass changes."""
        yield

    def publish(self, values: Mapping[str, float]) -> None:
        """The history holds all numbers."""
