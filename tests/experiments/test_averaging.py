"""Plain weight averaging after each task."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from avalanche_aim.experiments.averaging import WeightAveraging


class Recorder(WeightAveraging):
    """Keeps the weights from before each task, from its end, and those that averaging leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.before: list[list[Tensor]] = []
        self.trained: list[list[Tensor]] = []
        self.after: list[list[Tensor]] = []

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.before.append([p.detach().clone() for p in strategy.model.parameters()])
        super().before_training_exp(strategy)

    def after_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.trained.append([p.detach().clone() for p in strategy.model.parameters()])
        super().after_training_exp(strategy)
        self.after.append([p.detach().clone() for p in strategy.model.parameters()])


def half_frozen() -> nn.Module:
    network = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 6))
    network[0].requires_grad_(False)
    return network


@pytest.fixture
def weights(train: Callable[..., Any]) -> Recorder:
    """Train on three tasks, with half the weights frozen."""
    recorder = Recorder()
    train(recorder, model=half_frozen)
    return recorder


def test_the_first_task_stays_as_it_was_trained(weights: Recorder) -> None:
    assert all(map(torch.equal, weights.after[0], weights.trained[0]))


@pytest.mark.parametrize("task", [1, 2])
def test_after_a_later_task_weights_are_the_mean_of_before_and_after(weights: Recorder, task: int) -> None:
    for before, trained, after in zip(weights.before[task], weights.trained[task], weights.after[task], strict=True):
        torch.testing.assert_close(after, (before + trained) / 2)
    assert not torch.equal(weights.after[task][2], weights.trained[task][2])


def test_frozen_weights_are_not_touched(weights: Recorder) -> None:
    assert all(map(torch.equal, weights.after[2][:2], weights.before[0][:2]))
