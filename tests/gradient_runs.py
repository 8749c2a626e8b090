"""What the tests of gradients share: a network, a plugin that watches, and plugins to train beside."""

from collections.abc import Callable
from typing import Any

import torch
from avalanche.training.plugins import EWCPlugin, ReplayPlugin, SupervisedPlugin
from torch import Tensor, nn

from avalanche_aim import AIMMergingPlugin
from avalanche_aim.merging import FixedInterval

Train = Callable[..., Any]


class Network(nn.Module):
    """A classifier that treats examples apart, in double precision so that rounding stays below what is compared."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 6)).double()
        self.sizes: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        return self.layers(x.double())


class SinglePrecision(Network):
    """The same in single precision, where a scaled loss can overflow, and which some templates need."""

    def __init__(self) -> None:
        super().__init__()
        self.float()

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Watch(SupervisedPlugin):
    """Keeps what other plugins see: the loss, the sizes of batch and output, the gradients and the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[float] = []
        self.sizes: list[tuple[int, int]] = []
        self.norms: list[float] = []
        self.clock = 0

    def before_backward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.sizes.append((len(strategy.mb_x), len(strategy.mb_output)))

    def after_update(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        gradients = [p.grad for p in strategy.model.parameters() if p.grad is not None]
        self.norms.append(float(torch.nn.utils.get_total_norm(gradients)))

    def after_backward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.losses.append(float(strategy.loss.detach()))

    def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.losses.append(float(strategy.loss.detach()))
        self.clock = strategy.clock.train_iterations + 1


def aim(preset: str) -> AIMMergingPlugin:
    return AIMMergingPlugin(preset, memory=8)


BESIDE: dict[str, Callable[[], list[Any]]] = {
    "alone": lambda: [],
    "paper": lambda: [aim("paper")],
    "reference": lambda: [aim("reference")],
    "merging often": lambda: [AIMMergingPlugin("paper", schedule=FixedInterval(2), memory=8)],
    "ewc": lambda: [EWCPlugin(0.5)],
    "replay": lambda: [ReplayPlugin(mem_size=12)],
    "replay and aim": lambda: [ReplayPlugin(mem_size=12), aim("paper")],
    "ewc and aim": lambda: [aim("reference"), EWCPlugin(0.5)],
}


def weights(strategy: Any) -> list[Tensor]:
    return [p.detach() for p in strategy.model.parameters()]


def close(one: Any, other: Any, tolerance: float = 1e-6) -> None:
    torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def scaler(**settings: Any) -> torch.amp.GradScaler:
    return torch.amp.GradScaler("cpu", **settings)
