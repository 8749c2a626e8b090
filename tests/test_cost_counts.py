"""What AIM costs in memory and in waiting for an accelerator, counted; nothing here is a time."""

import warnings
from copy import deepcopy

import pytest
import torch
from avalanche.training import Naive
from avalanche.training.plugins import EvaluationPlugin
from torch import nn

from avalanche_aim import AIMMergingPlugin, LanguageModel, text_benchmark
from avalanche_aim.merging import FixedInterval
from benchmarks.copies import held
from benchmarks.syncs import added_by_aim

INTERVAL, EVERY = 4, 3


@pytest.fixture
def strategy_of(three_tasks):
    """Make Naive over a classifier whose weights are large beside its batches, with AIM or without."""

    def make(name, **settings):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 6))
        settings = {"preset": "paper", "schedule": FixedInterval(INTERVAL), "memory": 8, **settings}
        return strategy(model, nn.CrossEntropyLoss(), [AIMMergingPlugin(**settings)] if name == "aim" else [])

    return make


def strategy(model, criterion, plugins, optimizer=torch.optim.Adam):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no loggers
        return Naive(
            model=model,
            optimizer=optimizer(model.parameters(), lr=1e-3),
            criterion=criterion,
            train_mb_size=4,
            evaluator=EvaluationPlugin(),
            plugins=plugins,
        )


@pytest.mark.parametrize(("state", "between", "during"), [("shared", 1, 3), ("fresh", 1, 5), ("own", 3, 5)])
def test_aim_holds_the_last_merge_and_in_a_merge_the_trained_weights_and_gradients_and_adams_moments(
    strategy_of, three_tasks, state, between, during
):
    counted = held(lambda name: strategy_of(name, rehearsal={"optimizer": state}), three_tasks.train_stream)
    assert counted == (between, during)


def kinds(added):
    return len(added["plain"]) > 0, len(added["monitored"]) > 0, len(added["merged"]) > 0


def test_between_two_monitored_iterations_nothing_waits_for_the_accelerator(strategy_of, three_tasks):
    naive, aim = strategy_of("naive"), strategy_of("aim", rehearsal={"monitor_every": EVERY})
    for one in (naive, aim):
        one.optimizer = torch.optim.SGD(one.model.parameters(), lr=1e-3)
    added = added_by_aim(naive, aim, three_tasks.train_stream)
    assert kinds(added) == (True, True, True)
    assert set(added["naive"]) == {0}
    assert set(added["plain"]) == {0}
    # The historical and the training loss; and the choice of memory rows, on the CPU anyway.
    assert set(added["monitored"]) == {3}


def test_nor_with_a_language_model(tiny_models, tasks):
    model: LanguageModel = tiny_models["tiny"]
    stream = text_benchmark(tasks, model.tokenizer, cache=False).train_stream
    plugin = AIMMergingPlugin("paper", schedule=FixedInterval(INTERVAL), memory=4, rehearsal={"monitor_every": 2})
    naive, aim = (
        strategy(deepcopy(model), model.criterion, plugins, torch.optim.SGD) for plugins in ([], [plugin])
    )  # fmt: skip
    for one in (naive, aim):
        one.train_epochs = 4
    # The model checks gradients in its first passes of an experience, of which memory iterations take their share.
    added = added_by_aim(naive, aim, stream)
    assert kinds(added) == (True, True, True)
    assert max(added["plain"]) <= 0
