"""Weight space consolidation: unimportant weights go half-way back, and the rest of the task is averaged."""

from collections.abc import Mapping
from typing import Any

import torch
from avalanche.training.plugins import SupervisedPlugin
from torch import Tensor
from torch.optim.swa_utils import get_swa_multi_avg_fn

from ...merging import snapshot
from ...merging.state import Stateful
from ...rehearsal.memory import RehearsalMemory
from .evaluated import trainable


class WeightSpaceConsolidation(Stateful, SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """After a warm-up, resets weights of low rank once; then averages, and ends the task with the average.

    A weight's score is |m̂| · v̂ of Adam, bias-corrected. Of each tensor the ``retain`` of highest score keep θ, the
    others become ½θ + ½θ_prev, θ_prev the weights at the start of the task. From then on Θ ← (nΘ + θ)/(n + 1) after
    each iteration, and θ ← Θ at the end. To be used with replay; it begins with the first task in which something is
    rehearsed. Source: Cho et al., arXiv 2502.07274. In its public code the warm-up ends when the loss on validation
    data stops falling, which a share of the iterations stands for here, and the average is taken once an epoch.

    :param memory: of the replay beside it.
    :param warmup: the share of a task's iterations before the reset.
    :param retain: the share of each tensor that is not reset.
    :raises ValueError: for a share outside (0, 1).
    """

    STATE = ("previous", "average", "averaged", "iteration")

    def __init__(self, memory: RehearsalMemory, warmup: float = 0.5, retain: float = 0.2) -> None:
        super().__init__()
        for name, share in (("warmup", warmup), ("retain", retain)):
            if not 0 < share < 1:
                raise ValueError(f"{name}: expected a share in (0, 1), got {share}")
        self._memory = memory
        self.warmup, self.retain = warmup, retain
        self.previous: list[Tensor] = []
        self.average: list[Tensor] = []
        self.averaged = self.iteration = 0

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Keep θ_prev, where something is rehearsed."""
        weights = list(trainable(strategy.model).values())
        self.previous = snapshot(weights) if len(self._memory) > 0 else []
        self.average, self.averaged, self.iteration = [], 0, 0

    @torch.no_grad()
    def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Reset when the warm-up is over; average from then on."""
        if not self.previous:
            return
        self.iteration += 1
        last = int(self.warmup * strategy.train_epochs * len(strategy.dataloader))
        weights = list(trainable(strategy.model).values())
        if self.iteration == max(1, last):
            for weight, before in zip(weights, self.previous, strict=True):
                reset_(weight, before, score(strategy.optimizer, weight), self.retain)
            self.average, self.averaged = snapshot(weights), 1
        elif self.averaged:
            get_swa_multi_avg_fn()(self.average, weights, self.averaged)
            self.averaged += 1

    @torch.no_grad()
    def after_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        if self.averaged:
            for weight, average in zip(trainable(strategy.model).values(), self.average, strict=True):
                weight.copy_(average)
        self.previous, self.average, self.averaged = [], [], 0


def score(optimizer: Any, weight: Tensor) -> Tensor:
    """Return |m̂| · v̂ of Adam for each number of a weight.

    :param optimizer: the optimizer, after its first step.
    :raises ValueError: for an optimizer without Adam's moments.
    """
    state: Mapping[str, Any] = optimizer.state.get(weight, {})
    if not {"exp_avg", "exp_avg_sq", "step"} <= state.keys():
        raise ValueError(f"wsc: expected an optimizer with Adam's moments, got {type(optimizer).__name__}; use AdamW")
    group = next(group for group in optimizer.param_groups if any(weight is one for one in group["params"]))
    (beta1, beta2), step = group["betas"], float(state["step"])
    return (state["exp_avg"] / (1 - beta1**step)).abs() * (state["exp_avg_sq"] / (1 - beta2**step))


def reset_(weight: Tensor, before: Tensor, scores: Tensor, retain: float) -> None:
    """Move the numbers of low score half-way back, in place.

    :param before: θ_prev.
    :param retain: the share of highest score that stays; one number at least.
    """
    kept = max(1, int(retain * scores.numel()))
    threshold = scores.flatten().topk(kept).values[-1]
    weight.copy_(torch.where(scores >= threshold, weight, (weight + before) / 2))
