"""Losses and weights that are not finite."""

import math
import warnings

import pytest
import torch
from plugin_runs import ITERATIONS, MEMORY_BATCH, everything, merge_positions, merging, watched
from torch.nn import functional

from avalanche_aim.merging import FixedInterval


class FailingLoss:
    """Cross entropy that is not a number at chosen calls on memory batches.

    :param monitored: the historical losses that fail, counted from 0.
    :param rehearsed: the losses of memory iterations that fail, counted from 0.
    """

    def __init__(self, monitored=(), rehearsed=(), value=math.nan):
        self.failing = {False: set(monitored), True: set(rehearsed)}
        self.calls = {False: 0, True: 0}
        self.value = value

    def __call__(self, output, target):
        loss = functional.cross_entropy(output, target)
        rehearsing = torch.is_grad_enabled()
        if rehearsing and len(target) != MEMORY_BATCH:
            return loss
        call = self.calls[rehearsing]
        self.calls[rehearsing] += 1
        return loss * self.value if call in self.failing[rehearsing] else loss


def failing_run(train, criterion, kind="own", **settings):
    """Return the plugin, the snapshots around it and the warnings that it gave."""
    rehearsal = {"batch_size": MEMORY_BATCH, "optimizer": kind, **settings.pop("rehearsal", {})}
    plugin = merging(rehearsal=rehearsal, **settings)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before, after = watched(train, plugin, criterion=criterion)
    return plugin, before, after, [str(w.message) for w in caught if "AIMMerging" in str(w.message)]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_no_merge_is_made_where_the_historical_loss_is_not_finite(train, value, same):
    # The merge due at the fourth iteration is made at the fifth.
    plugin, before, after, _ = failing_run(train, FailingLoss(monitored=[3], value=value))
    assert [(merge.iteration, merge.elapsed) for merge in plugin.history.merges[:2]] == [(5, 5), (9, 4)]
    assert same(before.states[ITERATIONS + 3], after.states[ITERATIONS + 3])
    assert plugin.history.iterations[3].status == "skipped"
    assert not plugin.history.iterations[3].active


def test_a_historical_loss_that_is_not_finite_does_not_enter_the_threshold(train):
    plugin, *_ = failing_run(train, FailingLoss(monitored=[0]), schedule=FixedInterval(6))
    losses = [record.historical_loss for record in plugin.history.iterations[1:5]]
    assert plugin.history.iterations[4].threshold == pytest.approx(2 * sum(losses) / 4)


def test_losses_that_are_not_finite_are_warned_about_once(train):
    *_, warned = failing_run(train, FailingLoss(monitored=range(6), rehearsed=range(20)))
    assert len(warned) == 1


@pytest.mark.filterwarnings("ignore:AIMMerging")
def test_a_run_whose_historical_losses_are_never_finite_is_a_plain_run(train, same):
    strategy = train(merging(rehearsal={"batch_size": MEMORY_BATCH}), criterion=FailingLoss(monitored=range(99)))
    assert same(everything(strategy), everything(train()))


@pytest.mark.parametrize("kind", ["shared", "fresh", "own"])
@pytest.mark.parametrize("failing", [0, 2, 3])
def test_the_trained_weights_stay_where_a_memory_loss_is_not_finite(train, kind, failing, same):
    plugin, before, after, warned = failing_run(train, FailingLoss(rehearsed=[failing]), kind=kind)
    position = merge_positions(plugin)[0]
    assert not plugin.history.merges[0].merged
    assert same(before.states[position], after.states[position])
    assert warned


@pytest.mark.parametrize("kind", ["shared", "fresh", "own"])
def test_a_memory_loss_that_is_not_finite_does_not_spoil_the_rest_of_the_run(train, kind):
    plugin, _, after, _ = failing_run(train, FailingLoss(rehearsed=[1]), kind=kind)
    assert all(bool(value.isfinite().all()) for value in after.states[-1].values())
    assert [merge.merged for merge in plugin.history.merges] == [False, True, True, True, True, True]


@pytest.mark.parametrize("kind", ["shared", "fresh", "own"])
def test_the_trained_weights_stay_where_fine_tuning_ends_in_weights_that_are_not_finite(train, kind, same):
    class BadGradient(FailingLoss):
        def __call__(self, output, target):
            loss = functional.cross_entropy(output, target)
            if not torch.is_grad_enabled() or len(target) != MEMORY_BATCH:
                return loss
            return loss + (output.sum() * 0).sqrt()  # finite, but its gradient is not

    plugin, before, after, _ = failing_run(
        train, BadGradient(), kind=kind, schedule=FixedInterval(4), rehearsal={"ratio": 0.25}
    )
    position = merge_positions(plugin)[0]
    assert plugin.history.merges[0].memory_iterations == 1
    assert same(before.states[position], after.states[position])
