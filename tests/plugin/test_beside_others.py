"""AIMMerging beside other plugins."""

import pytest
import torch
from avalanche.training.plugins import EWCPlugin, LRSchedulerPlugin, ReplayPlugin, SupervisedPlugin
from plugin_runs import ITERATIONS, NEVER, everything, merging

from avalanche_aim.merging import FixedInterval, OncePerTask

OTHERS = {
    "replay": lambda optimizer: ReplayPlugin(mem_size=12),
    "ewc": lambda optimizer: EWCPlugin(1.0),
    "lr": lambda optimizer: LRSchedulerPlugin(torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_plugin_that_never_merges_leaves_other_plugins_bit_for_bit(train, other, same):
    plain = everything(train(OTHERS[other]))
    assert same(everything(train(merging(FixedInterval(NEVER)), OTHERS[other])), plain)
    assert same(everything(train(OTHERS[other], merging(FixedInterval(NEVER)))), plain)


def test_it_merges_beside_replay(train):
    plugin, sizes = merging(), []

    class Look(SupervisedPlugin):
        def after_training_iteration(self, strategy, **kwargs):
            sizes.append(len(strategy.mb_x))

    train(ReplayPlugin(mem_size=12), plugin, Look())
    assert len(plugin.history.merges) >= 6
    assert all(merge.merged for merge in plugin.history.merges)
    assert min(sizes[ITERATIONS:]) > 8  # replay's own batches are what it trains on


def test_ewc_remembers_the_weights_of_the_last_merge(train):
    plugin, ewc = merging(OncePerTask()), EWCPlugin(1.0)
    strategy = train(plugin, ewc)
    assert len(plugin.history.merges) == 2
    for name, weight in strategy.model.named_parameters():
        assert torch.equal(ewc.saved_params[2][name].data, weight)


def test_a_learning_rate_schedule_takes_the_same_steps(train):
    def rates(*plugins):
        seen = []

        class Look(SupervisedPlugin):
            def after_training_iteration(self, strategy, **kwargs):
                seen.append(strategy.optimizer.param_groups[0]["lr"])

        train(*plugins, OTHERS["lr"], Look())
        return seen

    plain = rates()
    assert len(set(plain)) > 1
    assert rates(merging()) == plain
