"""Slow weights that are only evaluated: training goes on with the fast ones.

They are the trainable weights' averages over iterations; buffers (batch-norm statistics) are not averaged.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn, get_swa_multi_avg_fn

from .task_vectors import local


class SlowWeights(ABC):
    """Base of slow weights: an average that is updated after each iteration and swapped in for evaluations."""

    def __init__(self) -> None:
        self.average: dict[str, Tensor] = {}
        self.averaged = 0
        """Iterations in the average; without any, the training weights are evaluated."""
        self.swapped = False
        """Whether the average stands in the model, and the training weights here."""

    @abstractmethod
    def update(self, weights: Mapping[str, Tensor], iteration: int, iterations: int | None) -> None:
        """Take the weights after an iteration, its merge included.

        :param weights: the trainable weights by name.
        :param iteration: in the experience, from 1.
        :param iterations: of the whole experience, or None where that is not known.
        """

    def start(self, weights: Mapping[str, Tensor]) -> None:
        """A new experience begins; weights that are new, or have grown, are taken as they are."""
        self.swap(weights, False)
        if self.averaged:
            known = {name: self.average.get(name) for name in weights}
            self.average = {
                name: average
                if average is not None and average.shape == weights[name].shape
                else weights[name].detach().clone()
                for name, average in known.items()
            }

    @torch.no_grad()
    def swap(self, weights: Mapping[str, Tensor], evaluated: bool) -> None:
        """Exchange the average and the training weights, tensor by tensor, if they are not where they should be.

        :param evaluated: whether the average is to stand in the model.
        """
        if evaluated == self.swapped or not self.averaged:
            return
        for name, average in self.average.items():
            kept = weights[name].clone()
            weights[name].copy_(average)
            average.copy_(kept)
        self.swapped = evaluated

    @torch.no_grad()
    def _add(self, weights: Mapping[str, Tensor], average_: Callable[[list[Tensor], list[Tensor], int], None]) -> None:
        if self.averaged:
            slow, fast = list(self.average.values()), [weights[name].detach() for name in self.average]
            average_(local(slow), local(fast), self.averaged)
        else:
            self.average = {name: weight.detach().clone() for name, weight in weights.items()}
        self.averaged += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the average."""
        return {"average": dict(self.average), "averaged": self.averaged, "swapped": self.swapped}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.average = dict(state["average"])
        self.averaged, self.swapped = state["averaged"], state["swapped"]


class ExponentialAverage(SlowWeights):
    """slow ← decay·slow + (1 − decay)·θ after each iteration of all experiences, from the first one's weights on.

    :param decay: λ; SuRe (arXiv 2511.22367) uses 0.995 to 0.999.
    :raises ValueError: for a decay outside [0, 1).
    """

    def __init__(self, decay: float = 0.995) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"decay: expected a number in [0, 1), got {decay}")
        self.decay = decay
        self._average: Any = get_ema_multi_avg_fn(decay)

    def start(self, weights: Mapping[str, Tensor]) -> None:
        super().start(weights)
        if not self.averaged:
            self._add(weights, self._average)

    def update(self, weights: Mapping[str, Tensor], iteration: int, iterations: int | None) -> None:
        self._add(weights, self._average)


class TailAverage(SlowWeights):
    """The mean of the weights over the last share of the experience's iterations.

    Before that share begins, the training weights are evaluated. A merge at the end counts as one more iteration.

    :param share: of the experience's iterations.
    :raises ValueError: for a share outside (0, 1]; in training, where the experience's length is not known.
    """

    def __init__(self, share: float = 0.25) -> None:
        super().__init__()
        if not 0 < share <= 1:
            raise ValueError(f"share: expected a share in (0, 1], got {share}")
        self.share = share
        self._average: Any = get_swa_multi_avg_fn()

    def start(self, weights: Mapping[str, Tensor]) -> None:
        self.swap(weights, False)
        self.averaged = 0

    def update(self, weights: Mapping[str, Tensor], iteration: int, iterations: int | None) -> None:
        if iterations is None:
            raise ValueError(
                "TailAverage: expected an experience whose number of iterations is known, to find its last "
                f"{self.share:.0%}; use ExponentialAverage"
            )
        if iteration > (1 - self.share) * iterations:
            self._add(weights, self._average)


SLOW_WEIGHTS: dict[str, type[SlowWeights]] = {"exponential": ExponentialAverage, "tail": TailAverage}
