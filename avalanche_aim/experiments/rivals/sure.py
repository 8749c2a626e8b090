"""SuRe's rehearsal: now and then, of what surprised the model most."""

from collections.abc import Sequence
from copy import copy
from typing import Any

import torch
from avalanche.training.plugins import ReplayPlugin
from torch import Tensor

from ...distributed import DataParallel, broadcast
from ...merging.state import Stateful
from ...rehearsal.memory import RehearsalMemory
from ...training.isolation import eval_mode


class IntermittentReplay(Stateful, ReplayPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Avalanche's replay, in every k-th iteration only.

    Source: arXiv 2511.22367 and its public code, with k = 2 and the loss (L_new + L_memory)/2, which is the mean over a
    batch of two equal parts.

    :param every: k; 1 is plain replay.
    :param batch_size_mem: remembered examples of a batch; as many as new ones by default.
    :raises ValueError: for less than 1.
    """

    STATE = ("iteration", "seen")

    def __init__(self, memory: RehearsalMemory, every: int = 1, batch_size_mem: int | None = None) -> None:
        super().__init__(memory.max_size, batch_size_mem=batch_size_mem, storage_policy=memory)
        if every < 1:
            raise ValueError(f"every: expected 1 iteration or more, got {every}")
        self.every = every
        self.iteration = self.seen = 0

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        super().before_training_exp(strategy, *args, **kwargs)
        self.iteration = 0

    def before_training_epoch(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.seen = 0

    def before_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Leave the remembered examples out of the batch where none are due; the new ones come first in it."""
        self.iteration += 1
        new = min(strategy.train_mb_size, len(strategy.adapted_dataset) - self.seen)
        self.seen += new
        if self.iteration % self.every:
            DataParallel.of(strategy).keep_first(strategy, new)


class SurprisingMemory(RehearsalMemory):
    """Keeps the examples of highest loss instead of a balanced choice.

    The losses are those of the trained model at the end of the task, without dropout; of equal ones the first count.
    Source: arXiv 2511.22367 (surprise); its public code has variants before, during and after training.
    """

    def remember(self, agent_state: Any, dataset: Any) -> None:
        """Measure the losses, and keep the share of highest."""
        self._losses = broadcast(_losses(agent_state, dataset))
        self.add(dataset)

    def choose(self, targets: Sequence[int], size: int) -> list[int]:
        """Choose the rows to keep."""
        ranked = sorted(range(len(targets)), key=lambda row: -self._losses[row])
        return sorted(ranked[:size])


@torch.no_grad()
def _losses(strategy: Any, dataset: Any) -> list[float]:
    criterion = copy(strategy._criterion)
    if not hasattr(criterion, "reduction"):
        raise ValueError(f"sure: expected a criterion with a reduction, such as nn.CrossEntropyLoss(), got {criterion}")
    criterion.reduction = "none"
    losses: list[float] = []
    with eval_mode(strategy.model):
        for start in range(0, len(dataset), strategy.train_mb_size):
            rows = [dataset[row] for row in range(start, min(start + strategy.train_mb_size, len(dataset)))]
            x = torch.stack([row[0] for row in rows]).to(strategy.device)
            y = torch.tensor([int(row[1]) for row in rows], device=strategy.device)
            values: Tensor = criterion(strategy.model(x), y)
            losses += values.float().tolist()
    return losses
