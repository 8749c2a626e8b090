"""Runs that the plugin's tests share: a plugin that merges often, and what they compare."""

import random

import numpy as np
import torch
from avalanche.training.plugins import SupervisedPlugin

from avalanche_aim import AIMMergingPlugin
from avalanche_aim.merging import FixedInterval

ITERATIONS = 12  # of each experience: 32 examples, batches of 8, three epochs
NEVER = 10**6
MEMORY = 8
MEMORY_BATCH = 5  # by its size a criterion recognises a memory batch; training batches have 8


def merging(schedule=None, **settings):
    """Return a plugin that merges every four iterations, unless told otherwise."""
    return AIMMergingPlugin(schedule=schedule or FixedInterval(4), **({"preset": "paper", "memory": MEMORY} | settings))


def state_of(model):
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def everything(strategy):
    """Return all that training depends on: weights, buffers, modes, optimizer and the global random streams."""
    return {
        "model": state_of(strategy.model),
        "modes": [module.training for module in strategy.model.modules()],
        "optimizer": strategy.optimizer.state_dict(),
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state()[1].tolist(),
        "python": repr(random.getstate()),
    }


class Snapshots(SupervisedPlugin):
    """Copies the model after every iteration, at this plugin's turn, and at the begin of every experience."""

    def __init__(self):
        super().__init__()
        self.states = []
        self.starts = []

    def before_training_exp(self, strategy, **kwargs):
        self.starts.append(state_of(strategy.model))

    def after_training_iteration(self, strategy, **kwargs):
        self.states.append(state_of(strategy.model))


def watched(train, plugin, **settings):
    """Train with a snapshot right before and right after the plugin; return both."""
    before, after = Snapshots(), Snapshots()
    train(before, plugin, after, **settings)
    return before, after


def merge_positions(plugin):
    """Return where in the run the merges were, counted in iterations from 0."""
    return [m.experience * ITERATIONS + m.iteration - 1 for m in plugin.history.merges]
