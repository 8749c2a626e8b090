"""Batches of examples of like length: less padding, the same examples in an epoch."""

from typing import Any

import torch
from avalanche.benchmarks.utils.data_loader import TaskBalancedDataLoader
from avalanche.training.plugins import SupervisedPlugin
from torch import Tensor
from torch.utils.data import DataLoader

from ...merging.state import Stateful
from ...training.data_order import DataOrder
from .encoding import LENGTHS


class LengthGrouping(Stateful, SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Draws training batches from examples of like length, in a new random order each epoch.

    The model trims a batch to its longest example, so like lengths mean less padding (``docs/measured/cost.md``).
    Transformers' ``LengthGroupedSampler`` makes the order: of every 50 batches' worth of examples, sorted by length,
    batches are cut. Batches are then less varied than at random, which may cost accuracy where length goes with the
    label.

    :param seed: of the order; no other random stream is touched. Beside a :class:`~avalanche_aim.DataOrder`, whose
        place in the order checkpoints find again, its seed counts instead.
    """  # no state: beside a checkpoint there is a data order, which is drawn from

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self._generator = torch.Generator().manual_seed(seed)

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Put a loader of grouped batches in the place of the strategy's.

        :raises ValueError: beside a plugin that mixes batches itself, such as ``ReplayPlugin``.
        """
        from transformers.trainer_pt_utils import LengthGroupedSampler

        loader = strategy.dataloader
        if not isinstance(loader, (DataLoader, TaskBalancedDataLoader)):
            raise ValueError(
                f"LengthGrouping expected the strategy's own data loader, got {type(loader).__name__}: another plugin "
                "mixes batches itself; leave one of the two out"
            )
        dataset = strategy.adapted_dataset
        lengths = lengths_of(dataset).sum(1).tolist()
        generator = None if DataOrder.of(strategy) is not None else self._generator
        sampler = LengthGroupedSampler(strategy.train_mb_size, lengths=lengths, generator=generator)
        strategy.dataloader = DataLoader(
            dataset, batch_size=strategy.train_mb_size, sampler=sampler, collate_fn=getattr(dataset, "collate_fn", None)
        )


def lengths_of(dataset: Any) -> Tensor:
    """Return the tokens of each example's prompt and answer, shape (N, 2)."""
    return torch.stack([dataset[row][0][LENGTHS] for row in range(len(dataset))])
