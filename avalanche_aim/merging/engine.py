"""What the method drives: a model in training, in whatever loop."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class Engine(Protocol):
    """How to pass a batch through a model that is being trained.

    Avalanche's strategy is one (:mod:`avalanche_aim.training.engine`), a plain loop another
    (:mod:`avalanche_aim.training.plain_loop`).
    """

    @property
    def model(self) -> nn.Module:
        """The model."""

    @property
    def optimizer(self) -> Optimizer:
        """The training optimizer."""

    @property
    def device(self) -> torch.device:
        """Where batches are passed through the model."""

    @property
    def batch_size(self) -> int:
        """Examples of a training batch."""

    @property
    def at_once(self) -> int | None:
        """Examples of it that pass through the model at a time; None for all."""

    @property
    def iterations(self) -> int | None:
        """How many iterations the experience has in all, or None if that is not known."""

    @property
    def training_loss(self) -> Tensor:
        """The loss of the training batch of this iteration."""

    def loss(self, batch: Any, at_once: int | None = None) -> Tensor:
        """Return the loss of a batch, as in training; :meth:`backward` is to follow where gradients are made.

        :param batch: what the memory's ``batch`` returned.
        :param at_once: examples that pass through the model at a time.
        """

    def backward(self, loss: Tensor) -> None:
        """Make the gradients of a loss from :meth:`loss`, to which a penalty may have been added."""

    def mean(self, value: float) -> float:
        """Return a number that all processes agree on, where several train together."""

    def kept(self) -> AbstractContextManager[None]:
        """Put back afterwards what the loop keeps of its training batch."""

    def publish(self, values: Mapping[str, float]) -> None:
        """Show numbers to whoever follows the training."""
