"""What a merge does to the model and the optimizer, and what it leaves alone."""

from copy import deepcopy

import pytest
import torch
from avalanche.training.plugins import SupervisedPlugin
from plugin_runs import ITERATIONS, merge_positions, merging, state_of, watched
from torch import nn

from avalanche_aim.merging import FixedInterval, FixedWeights, OncePerTask


def partly_frozen():
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 6))
    model[0].requires_grad_(False)
    model[1].weight.requires_grad_(False)
    return model


@pytest.mark.parametrize("kind", ["shared", "fresh", "own"])
def test_a_merge_touches_no_frozen_weight_and_no_buffer(train, kind):
    plugin = merging(rehearsal={"optimizer": kind})
    before, after = watched(train, plugin, model=partly_frozen)
    trainable = {name for name, weight in partly_frozen().named_parameters() if weight.requires_grad}
    positions = merge_positions(plugin)
    assert len(positions) == 6
    for position in positions:
        old, new = before.states[position], after.states[position]
        assert {name for name in old if not torch.equal(old[name], new[name])} == trainable


def test_frozen_weights_never_change(train, same):
    strategy = train(merging(), model=partly_frozen)
    torch.manual_seed(0)
    start = partly_frozen()
    assert same(state_of(strategy.model[0]), state_of(start[0]))
    assert torch.equal(strategy.model[1].weight, start[1].weight)


def test_between_merges_the_weights_are_left_alone(train, same):
    plugin = merging()
    before, after = watched(train, plugin)
    changed = [not same(b, a) for b, a in zip(before.states, after.states, strict=True)]
    assert [position for position, change in enumerate(changed) if change] == merge_positions(plugin)


def test_weights_zero_and_zero_go_back_to_the_previous_merge(train):
    plugin = merging(weights=FixedWeights(0.0, 0.0))
    _, after = watched(train, plugin, model=lambda: nn.Linear(8, 6))
    for position in merge_positions(plugin):
        start = after.starts[position // ITERATIONS]
        torch.testing.assert_close(after.states[position], start, rtol=1e-5, atol=1e-6)


def test_without_memory_iterations_a_merge_shortens_the_step_of_the_new_task(train):
    plugin = merging(FixedInterval(ITERATIONS), rehearsal={"ratio": 0.0}, weights=FixedWeights(0.25, 0.75))
    before, after = watched(train, plugin, model=lambda: nn.Linear(8, 6))
    for experience, position in enumerate(merge_positions(plugin), start=1):
        start, end = after.starts[experience]["weight"], before.states[position]["weight"]
        torch.testing.assert_close(after.states[position]["weight"], start + 0.25 * (end - start))


def test_the_learning_signal_is_the_movement_since_the_previous_merge_per_iteration(train):
    plugin = merging()
    before, after = watched(train, plugin, model=lambda: nn.Linear(8, 6))
    for position, merge in zip(merge_positions(plugin), plugin.history.merges, strict=True):
        first = merge.iteration == 4
        previous = after.starts[merge.experience] if first else after.states[position - 4]
        moved = sum(float((before.states[position][name] - previous[name]).abs().sum()) for name in previous)
        assert merge.learning_signal == pytest.approx(moved / 4, rel=1e-4)


def test_fine_tuning_on_the_memory_lowers_its_loss(train):
    plugin = merging(OncePerTask(), rehearsal={"ratio": 3.0})
    train(plugin)
    assert all(merge.memory_loss_after < merge.memory_loss_before for merge in plugin.history.merges)


def test_merging_forgets_less_than_plain_training(train, three_tasks):
    def old_accuracy(strategy):
        strategy.model.eval()
        x, y = next(iter(torch.utils.data.DataLoader(three_tasks.test_stream[0].dataset, batch_size=32)))[:2]
        return float((strategy.model(x).argmax(1) == y).float().mean())

    def quick(weights):
        return torch.optim.SGD(weights, lr=0.2)

    assert old_accuracy(train(merging(), optimizer=quick)) > old_accuracy(train(optimizer=quick)) + 0.2


@pytest.mark.parametrize(("kind", "untouched"), [("shared", False), ("fresh", True), ("own", True)])
def test_only_the_shared_choice_changes_the_training_state_of_the_optimizer(train, kind, untouched, same):
    states = []

    class Look(SupervisedPlugin):
        def after_training_iteration(self, strategy, **kwargs):
            states.append(deepcopy(strategy.optimizer.state_dict()["state"]))

    plugin = merging(rehearsal={"optimizer": kind})
    train(Look(), plugin, Look())
    for position in merge_positions(plugin):
        assert same(states[2 * position], states[2 * position + 1]) == untouched
