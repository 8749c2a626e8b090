"""An Avalanche strategy as the engine that the method drives."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from avalanche.evaluation.metric_results import MetricValue
from torch import Tensor, nn
from torch.optim import Optimizer

from ..distributed import DataParallel, broadcast
from .gradients import GradientStep
from .passing import refused_as


class StrategyEngine:
    """Passes batches through a strategy's own forward and criterion: templates and subclasses keep their meaning.

    Gradients are made as :class:`~avalanche_aim.GradientStep` makes the training's: in micro-batches, scaled for fp16.

    :param publisher: the plugin in whose name numbers are published.
    """

    def __init__(self, strategy: Any, publisher: Any) -> None:
        self.strategy = strategy
        self.publisher = publisher
        self.model: nn.Module = strategy.model
        self.optimizer: Optimizer = strategy.optimizer
        self.device: torch.device = strategy.device
        self.batch_size: int = strategy.train_mb_size
        self._training_step = self._step = GradientStep.of(strategy)
        self._parallel = DataParallel.of(strategy)

    @property
    def at_once(self) -> int | None:
        """The training's micro-batches."""
        return self._training_step.micro_batch_size

    @property
    def iterations(self) -> int | None:
        """Those of all epochs; None where the data loader has no length."""
        try:
            return int(self.strategy.train_epochs * len(self.strategy.dataloader))
        except TypeError:
            return None

    @property
    def training_loss(self) -> Tensor:
        """The loss of this iteration."""
        loss: Tensor = self.strategy.loss
        return loss

    def loss(self, batch: Any, at_once: int | None = None) -> Tensor:
        """Return the loss of a batch, of which each process passes its own rows.

        :param batch: from the memory, the same in all processes.
        :raises ValueError: if the strategy cannot pass such a batch, though it does its own.
        """
        self._step = GradientStep(at_once, scaler=self._training_step.scaler)
        with (
            refused_as(
                f"AIMMerging cannot take part in {type(self.strategy).__name__}: its forward and criterion do not pass "
                "a batch of the memory as the data loader gives it"
            ),
            self._parallel.passing(self.strategy, batch),
        ):
            self.strategy._unpack_minibatch()
            return self._parallel.common(self._step.loss(self.strategy))

    def backward(self, loss: Tensor) -> None:
        """Make the gradients of a loss from :meth:`loss`."""
        self._step.backward(self.strategy, loss)

    def mean(self, value: float) -> float:
        """Return the first process's value."""
        return broadcast(value)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Put the training batch, its output and its loss back."""
        strategy = self.strategy
        kept = strategy.mbatch, strategy.mb_output, strategy.loss
        try:
            yield
        finally:
            strategy.mbatch, strategy.mb_output, strategy.loss = kept

    def publish(self, values: Mapping[str, float]) -> None:
        """Publish metric values under ``AIM/``."""
        for name, value in values.items():
            metric = MetricValue(self.publisher, f"AIM/{name}", value, self.strategy.clock.train_iterations)
            self.strategy.evaluator.publish_metric_value(metric)
