"""Gradients that are clipped, and scaled for fp16."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from avalanche.training.plugins import SupervisedPlugin
from gradient_runs import BESIDE, Network, SinglePrecision, Train, Watch, aim, close, scaler, weights
from torch import Tensor, nn

from avalanche_aim import AIMMergingPlugin, GradientStep
from avalanche_aim.merging import FixedInterval

# Clipping


@pytest.mark.parametrize("beside", ["alone", "paper"])
def test_gradients_are_clipped_together_at_the_norm(train: Train, beside: str) -> None:
    free, clipped = Watch(), Watch()
    train(free, model=Network)
    train(GradientStep(max_grad_norm=0.05), *BESIDE[beside](), clipped, model=Network)
    assert max(free.norms) > 0.05
    assert max(clipped.norms) == pytest.approx(0.05, rel=1e-4)


def test_clipping_comes_after_the_micro_batches_are_added_up(train: Train) -> None:
    whole = train(GradientStep(max_grad_norm=0.05), aim("paper"), model=Network)
    parts = train(GradientStep(2, max_grad_norm=0.05), aim("paper"), model=Network)
    close(weights(parts), weights(whole))


def test_memory_iterations_are_clipped_at_aims_own_norm(train: Train) -> None:
    norms: list[float] = []

    class Counting(torch.optim.SGD):
        def step(self, *args: Any, **kwargs: Any) -> Any:
            gradients = [p.grad for group in self.param_groups for p in group["params"]]
            norms.append(float(torch.nn.utils.get_total_norm(gradients)))
            return super().step(*args, **kwargs)

    plugin = AIMMergingPlugin("paper", schedule=FixedInterval(2), memory=8, rehearsal={"max_grad_norm": 0.02})
    train(
        GradientStep(2, max_grad_norm=0.05), plugin, model=Network, optimizer=lambda weights: Counting(weights, lr=0.1)
    )
    assert any(norm == pytest.approx(0.05, rel=1e-4) for norm in norms)
    assert any(norm == pytest.approx(0.02, rel=1e-4) for norm in norms)


# Loss scaling


@pytest.mark.parametrize(("beside", "size"), [*((beside, 3) for beside in BESIDE), ("alone", None), ("paper", None)])
def test_a_scaled_loss_gives_the_same_weights(train: Train, beside: str, size: int | None) -> None:
    seen = Watch(), Watch()
    whole = train(*BESIDE[beside](), seen[0], model=Network)
    scaled = train(GradientStep(size, scaler=scaler()), *BESIDE[beside](), seen[1], model=Network)
    close(weights(scaled), weights(whole))
    close(seen[1].losses, seen[0].losses)
    close(seen[1].norms, seen[0].norms)


class Overflow(SupervisedPlugin):
    """Makes the loss of one iteration too large to be scaled."""

    def __init__(self, iteration: int) -> None:
        super().__init__()
        self.iteration = iteration
        self.states: list[Any] = []

    def before_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.states.append(deepcopy((strategy.model.state_dict(), strategy.optimizer.state_dict())))

    def before_backward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        if strategy.clock.train_iterations == self.iteration:
            strategy.loss = strategy.loss * 3e38


@pytest.mark.parametrize("size", [None, 2])
def test_an_overflow_skips_the_step_lowers_the_scale_and_is_counted(
    train: Train, three_tasks: Any, same: Any, size: int | None
) -> None:
    chosen, overflow, watch = scaler(), Overflow(5), Watch()
    train(
        GradientStep(size, 1.0, chosen), overflow, watch, model=SinglePrecision,
        stream=three_tasks.train_stream[:1],
    )  # fmt: skip
    assert same(list(overflow.states[5]), list(overflow.states[6]))
    assert not same(list(overflow.states[6]), list(overflow.states[7]))
    assert chosen.get_scale() == 2.0**15
    assert watch.clock == 12


@pytest.mark.parametrize("size", [None, 2])
def test_an_overflow_in_the_memory_fine_tuning_skips_that_step_and_not_the_merge(
    train: Train, size: int | None
) -> None:
    class Half(nn.Module):
        """Passes gradients through fp16, where scaled ones overflow."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 6)

        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.float16):
                return self.layer(x)

    chosen, plugin = (
        scaler(init_scale=2.0**17, growth_interval=3),
        AIMMergingPlugin("paper", schedule=FixedInterval(3), memory=8),
    )
    train(GradientStep(size, scaler=chosen), plugin, model=Half)
    assert plugin.history.merges
    assert all(merge.merged for merge in plugin.history.merges)
    assert chosen.get_scale() < 2.0**24  # it fell whenever it had grown too large


def test_a_disabled_scaler_does_nothing(train: Train, same: Any) -> None:
    step = GradientStep(scaler=scaler(enabled=False))
    assert same(train(step).model.state_dict(), train().model.state_dict())
