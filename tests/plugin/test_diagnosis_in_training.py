"""Oscillation and stagnation in real runs: recorded at every merge, said once an experience."""

import warnings

import pytest
import torch
from avalanche.training.plugins import SupervisedPlugin
from plugin_runs import ITERATIONS, everything, merge_positions, merging, watched
from torch import nn

from avalanche_aim.merging import AdaptiveInterval, Diagnosis, FixedWeights, History

EPOCHS = 12  # 48 iterations of each experience: twelve merges, one after each epoch


def linear():
    return nn.Linear(8, 6)


def frozen(weights):
    return torch.optim.SGD(weights, lr=0.0)


class GrowingRate(SupervisedPlugin):
    """Lets the learning rate and with it the learning signal grow in each experience."""

    def before_training_epoch(self, strategy, **kwargs):
        self.rate(strategy, 1e-4 if strategy.clock.train_exp_epochs == 0 else None)

    def after_training_iteration(self, strategy, **kwargs):
        self.rate(strategy, None)

    def rate(self, strategy, start):
        for group in strategy.optimizer.param_groups:
            group["lr"] = start or 1.15 * group["lr"]


def warned(train, *plugins, **settings):
    """Train and return what AIMMerging warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(*plugins, **({"model": linear, "epochs": EPOCHS} | settings))
    return [str(w.message) for w in caught if "AIMMerging" in str(w.message)]


def found(plugin, experience):
    return [merge.diagnosis for merge in plugin.history.merges if merge.experience == experience]


def test_a_healthy_run_is_not_warned_of(train):
    plugin = merging()
    assert warned(train, plugin) == []
    assert {merge.diagnosis for merge in plugin.history.merges} == {""}


def test_a_learning_rate_of_zero_under_a_dominating_past_is_a_stagnation(train):
    plugin = merging(weights=FixedWeights(0.4, 0.6))
    messages = warned(train, plugin, optimizer=frozen)
    for experience, message in enumerate(messages, start=1):
        assert message.startswith(f"AIMMerging: stagnation in experience {experience}, iteration 32: the training loss")
        assert "τ_new was zero" in message
        assert found(plugin, experience) == [""] * 7 + ["stagnation"] * 5
    assert len(messages) == 2


def test_merges_that_go_back_to_the_previous_one_are_a_stagnation(train):
    plugin = merging(weights=FixedWeights(0.0, 0.0))
    messages = warned(train, plugin)
    assert len(messages) == 2
    assert all("stagnation" in message and "0% of τ_new was kept" in message for message in messages)
    assert [merge.kept for merge in plugin.history.merges] == pytest.approx([0.0] * 24, abs=1e-5)


def test_a_learning_signal_that_rises_and_rises_is_an_oscillation(train):
    plugin = merging(AdaptiveInterval(4, cold_start=1), weights=FixedWeights(1.0, 0.0))
    messages = warned(train, GrowingRate(), plugin, optimizer=frozen)
    for experience, message in enumerate(messages, start=1):
        # Intervals of 4, 4, 2, 2, …: the second merge is the first that chooses 2, the fifth the fourth.
        assert message.startswith(f"AIMMerging: oscillation in experience {experience}, iteration 14: the interval was")
        assert found(plugin, experience) == [""] * 4 + ["oscillation"] * (len(found(plugin, experience)) - 4)
    assert len(messages) == 2


def test_a_schedule_fixed_at_one_interval_is_no_oscillation(train):
    plugin = merging(AdaptiveInterval(4, minimum=4, maximum=4, cold_start=1), weights=FixedWeights(1.0, 0.0))
    assert warned(train, GrowingRate(), plugin, optimizer=frozen) == []


def test_weights_that_do_not_move_under_an_adaptive_schedule_are_no_oscillation(train):
    plugin = merging(AdaptiveInterval(4, cold_start=1))
    assert warned(train, plugin, optimizer=frozen) == []
    assert plugin.history.merges[-1].next_interval == 2


def test_the_share_kept_is_recorded_at_every_merge(train):
    plugin = merging()
    before, after = watched(train, plugin, model=linear)
    for position, merge in zip(merge_positions(plugin), plugin.history.merges, strict=True):
        first = position % ITERATIONS == 3
        start = after.starts[merge.experience] if first else after.states[position - 4]
        new, moved = (
            torch.cat([(state[name] - start[name]).flatten() for name in start])
            for state in (before.states[position], after.states[position])
        )
        assert merge.kept == pytest.approx(float(moved @ new / (new @ new)), rel=1e-4)


def test_a_merge_that_is_given_up_counts_for_no_diagnosis(train):
    def criterion(output, target):
        loss = nn.functional.cross_entropy(output, target)
        return loss * float("nan") if torch.is_grad_enabled() and len(target) == 5 else loss

    plugin = merging(weights=FixedWeights(0.4, 0.6), rehearsal={"batch_size": 5})
    messages = warned(train, plugin, optimizer=frozen, criterion=criterion)
    assert ["given up" in message for message in messages] == [True]
    assert {(merge.merged, merge.kept, merge.diagnosis) for merge in plugin.history.merges} == {(False, None, "")}


def test_other_thresholds_can_be_given(train):
    plugin = merging(weights=FixedWeights(0.4, 0.6), diagnosis=Diagnosis(merges=2))
    warned(train, plugin, optimizer=frozen)
    assert found(plugin, 1) == [""] * 3 + ["stagnation"] * 9


def test_what_is_found_never_changes_training(train, same):
    strategies, found = [], set()
    for diagnosis in (Diagnosis(merges=100), Diagnosis(merges=1, least_kept=10.0, least_fall=10.0, learned=0.0)):
        plugin = merging(diagnosis=diagnosis)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            strategies.append(train(plugin))
        found |= {merge.diagnosis for merge in plugin.history.merges}
    assert found == {"", "stagnation"}
    assert same(*map(everything, strategies))


def test_a_diagnosed_history_comes_back_from_its_records(train):
    plugin = merging(weights=FixedWeights(0.4, 0.6))
    warned(train, plugin, optimizer=frozen)
    assert "stagnation" in found(plugin, 2)
    assert History.from_dict(plugin.history.to_dict()) == plugin.history
