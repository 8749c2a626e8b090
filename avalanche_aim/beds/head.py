"""A small network with one output for each class of a stream, and how its answers are scored."""

from math import prod
from typing import Any

import torch
from torch import Tensor, nn


class Head(nn.Module):
    """One hidden layer: inputs → ``hidden`` → classes, with ReLU and dropout between.

    Its criterion is ``nn.CrossEntropyLoss()``.

    :param inputs: numbers of one example, whatever their shape.
    :param classes: outputs, shape (B, classes).
    :param dropout: the share of them that is dropped in training.
    :param seed: of the initial weights; the global random stream stays where it is.
    """

    def __init__(self, inputs: int, classes: int, hidden: int = 256, dropout: float = 0.05, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.layers = nn.Sequential(
                nn.Flatten(), nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes)
            )
        self.criterion = nn.CrossEntropyLoss()

    @classmethod
    def of(cls, benchmark: Any, **settings: Any) -> "Head":
        """Make the head for a benchmark of this package.

        :param settings: ``hidden``, ``dropout`` and ``seed``.
        """
        return cls(prod(benchmark.input_shape), len(benchmark.labels), **settings)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, shape (B, classes).

        :param x: inputs, shape (B, …).
        """
        return self.layers(x)


class LabelScores:
    """Scores the batch just evaluated: 1 where the highest output of all is the example's class, else 0.

    For :class:`~avalanche_aim.evaluation.ResultMatrix`: ``ResultMatrix("test", LabelScores())``.
    """

    def __call__(self, strategy: Any) -> Tensor:
        """Return the scores, shape (B,)."""
        return (strategy.mb_output.argmax(1) == strategy.mb_y).double()
