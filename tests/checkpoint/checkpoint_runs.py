"""Runs that the checkpoint tests share: one that is never interrupted, and ones that go on from its checkpoints."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from avalanche.evaluation.metrics import accuracy_metrics, forgetting_metrics, loss_metrics
from avalanche.training import Naive
from avalanche.training.plugins import EvaluationPlugin
from torch import nn

from avalanche_aim import AIMMergingPlugin, CheckpointPlugin
from avalanche_aim.merging import FixedInterval

ITERATIONS = 8  # of each experience: 32 examples, batches of 8, two epochs
ALL = 10**6


def small_network() -> nn.Module:
    """Return a network with buffers and dropout."""
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 6))


class Silent:
    """A logger that logs nothing."""

    def log_metrics(self, values: Any) -> None:
        """Do nothing."""


def aim(**settings: Any) -> AIMMergingPlugin:
    """Return a plugin that merges every three iterations, and monitors in train mode, where dropout draws."""
    return AIMMergingPlugin(
        schedule=FixedInterval(3), **({"preset": "paper", "memory": 8, "rehearsal": {"monitor": "train"}} | settings)
    )


class Run:
    """A run on a stream: made anew for each time it is started."""

    def __init__(
        self,
        stream: Any,
        *plugins: Callable[[], Any],
        model: Callable[[], nn.Module] = small_network,
        optimizer: Callable[[Any], torch.optim.Optimizer] = lambda weights: torch.optim.Adam(weights, lr=1e-2),
        template: type = Naive,
        reset: bool = False,
        evaluated: Callable[[int], Any] | None = None,
        **arguments: Any,
    ) -> None:
        self.stream, self.plugins, self.model, self.optimizer = stream, plugins, model, optimizer
        self.template, self.reset, self.arguments = template, reset, arguments
        self.evaluated = evaluated or (lambda number: stream[: number + 1])

    def strategy(self, *more: Any) -> Any:
        """Make the strategy, as a script does at its start."""
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)
        network = self.model()
        metrics = [accuracy_metrics(epoch=True, experience=True, stream=True), loss_metrics(minibatch=True, epoch=True)]
        defaults = {"criterion": nn.CrossEntropyLoss(), "train_mb_size": 8, "train_epochs": 2, "eval_mb_size": 32}
        return self.template(
            model=network,
            optimizer=self.optimizer(network.parameters()),
            evaluator=EvaluationPlugin(*metrics, forgetting_metrics(experience=True), loggers=[Silent()]),
            plugins=[*(plugin() for plugin in self.plugins), *more],
            **{**defaults, **self.arguments},
        )

    def train(self, checkpoint: CheckpointPlugin) -> dict[str, Any]:
        """Train what is left, evaluate after each experience, and return all that there is to compare."""
        strategy = self.strategy(checkpoint)
        for experience in checkpoint.resume(strategy, self.stream):
            strategy.train(experience, **({"reset_optimizer_state": True} if self.reset else {}))
            strategy.eval(self.evaluated(experience.current_experience))
        return outcome(strategy)

    def every_iteration(self, folder: Path) -> dict[str, Any]:
        """Train, and keep a checkpoint of every iteration."""
        return self.train(CheckpointPlugin(folder, every=1, keep=ALL))

    def from_checkpoint(self, name: str, all_of_them: Path, folder: Path) -> dict[str, Any]:
        """Resume from one of the checkpoints of :meth:`every_iteration`."""
        shutil.copy(all_of_them / name, folder)
        return self.train(CheckpointPlugin(folder, every=5))


def outcome(strategy: Any) -> dict[str, Any]:
    """Return weights, optimizer, metrics, histories and random streams."""
    names = {id(p): name for name, p in strategy.model.named_parameters()}
    return {
        "model": {name: value.clone() for name, value in strategy.model.state_dict().items()},
        "optimizer": {names[id(p)]: dict(state) for p, state in strategy.optimizer.state.items()},
        "rates": [group["lr"] for group in strategy.optimizer.param_groups],
        "clock": vars(strategy.clock),
        "curves": {name: [list(x), list(y)] for name, (x, y) in strategy.evaluator.all_metric_results.items()},
        "last": dict(strategy.evaluator.last_metric_results),
        "histories": [p.history.to_dict() for p in strategy.plugins if isinstance(p, AIMMergingPlugin)],
        "memories": [p.memory.selected for p in strategy.plugins if getattr(p, "memory", None) is not None],
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state()[1].tolist(),
        "python": repr(random.getstate()),
    }


def names_in(folder: Path) -> list[str]:
    """Return the checkpoints in a folder, oldest first."""
    return sorted(path.name for path in folder.iterdir())
