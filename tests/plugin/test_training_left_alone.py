"""What a plugin that only looks leaves alone: everything."""

from copy import deepcopy

import pytest
from avalanche.training.plugins import SupervisedPlugin
from plugin_runs import ITERATIONS, NEVER, everything, merging

from avalanche_aim.merging import FixedInterval, FixedWeights, OncePerTask


@pytest.mark.parametrize("preset", ["paper", "reference"])
def test_a_plugin_that_never_merges_leaves_training_bit_for_bit(train, preset, same):
    plugin = merging(FixedInterval(NEVER), preset=preset)
    assert same(everything(train(plugin)), everything(train()))
    assert len(plugin.history.iterations) == 2 * ITERATIONS
    assert plugin.history.merges == []


@pytest.mark.parametrize("schedule", [FixedInterval(1), OncePerTask()], ids=["fixed", "once"])
def test_the_first_experience_trains_undisturbed(train, three_tasks, schedule, same):
    plugin = merging(schedule)
    first = three_tasks.train_stream[:1]
    assert same(everything(train(plugin, stream=first)), everything(train(stream=first)))
    assert (plugin.history.iterations, plugin.history.merges) == ([], [])


def test_without_a_memory_nothing_ever_happens(train, same):
    plugin = merging(FixedInterval(1), memory=0)
    assert same(everything(train(plugin)), everything(train()))
    assert plugin.history.iterations == []


@pytest.mark.parametrize("kind", ["fresh", "own"])
def test_merges_that_keep_all_of_the_new_and_none_of_the_past_leave_training_bit_for_bit(train, kind, same):
    plugin = merging(weights=FixedWeights(1.0, 0.0), rehearsal={"optimizer": kind})
    assert same(everything(train(plugin)), everything(train()))
    assert len(plugin.history.merges) == 6


def test_monitoring_leaves_gradients_batch_output_and_loss_as_they_were(train, same):
    seen = []

    class Look(SupervisedPlugin):
        def after_training_iteration(self, strategy, **kwargs):
            gradients = [p.grad for p in strategy.model.parameters()]
            seen.append((strategy.mbatch, strategy.mb_output, strategy.loss, gradients, deepcopy(gradients)))

    train(Look(), merging(FixedInterval(1)), Look())
    for (batch, output, loss, gradients, copies), after in zip(seen[::2], seen[1::2], strict=True):
        assert (after[0] is batch, after[1] is output, after[2] is loss) == (True, True, True)
        assert all(a is b for a, b in zip(gradients, after[3], strict=True))
        assert same(copies, after[4])
