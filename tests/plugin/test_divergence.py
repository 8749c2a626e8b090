"""Training that makes weights non-finite: back to the last finite ones, or an end with a reason."""

import math
import warnings

import pytest
import torch
from avalanche.training.plugins import SupervisedPlugin
from plugin_runs import ITERATIONS, MEMORY_BATCH, Snapshots, merging, state_of
from short_presets import SHORT

from avalanche_aim import AIMMergingPlugin
from avalanche_aim.merging import PRESETS, FixedInterval, fusion
from avalanche_aim.merging.rollback import LOOK_EVERY
from avalanche_aim.merging.task_vectors import all_finite
from avalanche_aim.training.divergence import DivergenceCheck


class Spoiled(SupervisedPlugin):
    """Makes the training loss NaN at chosen iterations, counted over the run from 0, as a broken example does."""

    def __init__(self, iterations):
        super().__init__()
        self.iterations = set(iterations)

    def before_backward(self, strategy, **kwargs):
        if strategy.clock.train_iterations in self.iterations:
            strategy.loss = strategy.loss * math.nan


class BrokenBatch(Spoiled):
    """Makes the inputs NaN, so that batch norm's statistics are spoiled as well."""

    def before_backward(self, strategy, **kwargs):
        """The loss follows from the inputs."""

    def before_forward(self, strategy, **kwargs):
        if strategy.clock.train_iterations in self.iterations:
            strategy.mbatch[0].fill_(math.nan)


def spoiled_run(train, iterations, *, spoiled=Spoiled, rehearsal=None, **settings):
    """Return plugin, strategy, the snapshots after the plugin and its warnings; one merge every four iterations."""
    plugin = merging(rehearsal={"batch_size": MEMORY_BATCH, **(rehearsal or {})}, **settings)
    after = Snapshots()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        strategy = train(spoiled(iterations), plugin, after)
    return plugin, strategy, after, [str(w.message) for w in caught if "AIMMerging" in str(w.message)]


def finite(state):
    return all(bool(value.isfinite().all()) for value in state.values())


@pytest.mark.parametrize("spoiled", [Spoiled, BrokenBatch])
@pytest.mark.parametrize("kind", ["shared", "fresh", "own"])
def test_weights_go_back_to_those_of_the_last_merge(train, spoiled, kind, same):
    at = ITERATIONS + 5  # the last merge was at the fourth iteration of this experience
    plugin, strategy, after, said = spoiled_run(train, [at], spoiled=spoiled, rehearsal={"optimizer": kind})
    weights = [name for name, _ in strategy.model.named_parameters()]
    for name in weights:
        assert same(after.states[at][name], after.states[ITERATIONS + 3][name])
    assert all(map(finite, after.states))
    assert [merge.iteration for merge in plugin.history.merges if merge.experience == 1] == [4, 10]
    assert [r.status for r in plugin.history.iterations if r.status in ("skipped", "rolled back")] == ["rolled back"]
    assert len(said) == 1 and "non-finite by iteration 6 of experience 1" in said[0] and "learning rate" in said[0]
    assert all(finite({k: v for k, v in state.items() if isinstance(v, torch.Tensor)})
               for state in strategy.optimizer.state.values())  # fmt: skip


@pytest.mark.parametrize("preset", list(PRESETS))
def test_every_preset_goes_back_and_trains_on(train, preset):
    at = ITERATIONS + 5
    settings = {"schedule": PRESETS[preset].make("schedule", SHORT.get(preset, {}).get("schedule", {}))}
    plugin, _, after, said = spoiled_run(train, [at], preset=preset, **settings)
    assert finite(after.states[-1])
    assert [text for text in said if "non-finite by iteration" in text]
    later = [merge.merged for merge in plugin.history.merges if merge.experience == 2]
    assert later and all(later)


def test_a_spoiled_iteration_that_is_not_monitored_is_noticed_at_the_next_one_that_is(train):
    plugin, _, after, said = spoiled_run(train, [ITERATIONS], schedule=FixedInterval(8), rehearsal={"monitor_every": 3})
    assert len(said) == 1
    assert [finite(state) for state in after.states[ITERATIONS : ITERATIONS + 4]] == [False, False, True, True]
    assert plugin.history.iterations[0].status == "rolled back"


def test_a_spoiled_last_iteration_is_noticed_before_the_next_experience(train):
    class End(Snapshots):
        def after_training_exp(self, strategy, **kwargs):
            self.states.append(state_of(strategy.model))

    end = End()
    plugin = merging(schedule=FixedInterval(5), rehearsal={"monitor_every": 5})
    with pytest.warns(UserWarning, match="non-finite by iteration 12 of experience 1"):
        train(Spoiled([2 * ITERATIONS - 1]), plugin, end)
    assert all(finite(state) for state in end.states[-2:])


def test_the_fourth_time_in_an_experience_ends_the_training_with_finite_weights(train):
    plugin, seen = merging(), Snapshots()
    with (
        pytest.warns(UserWarning, match="non-finite"),
        pytest.raises(FloatingPointError, match="for the 4th time in this experience; lower the learning rate"),
    ):
        train(seen, Spoiled(range(ITERATIONS, 99)), plugin)
    assert len(plugin.history.iterations) == 3
    assert all_finite(plugin.merging.weights)


def test_every_experience_may_go_back_anew(train):
    spoiled = [ITERATIONS + i for i in (1, 3, 5)] + [2 * ITERATIONS + i for i in (1, 3, 5)]
    *_, said = spoiled_run(train, spoiled)
    assert len(said) == 6


def test_a_spoiled_first_experience_has_nothing_to_go_back_to(train):
    with pytest.raises(FloatingPointError, match="non-finite in experience 0; lower the learning rate"):
        train(Spoiled([2]), merging())


def test_long_experiences_are_looked_at_before_they_end(train):
    seen = Snapshots()
    with pytest.raises(FloatingPointError):
        train(seen, Spoiled([0]), AIMMergingPlugin("paper", memory=0), epochs=LOOK_EVERY)
    assert len(seen.states) == LOOK_EVERY


@pytest.mark.parametrize("plugin", [DivergenceCheck, merging])
def test_a_loss_that_is_not_finite_beside_finite_weights_ends_nothing(train, plugin):
    class Shown(SupervisedPlugin):
        def after_backward(self, strategy, **kwargs):
            strategy.loss = strategy.loss.detach() * math.inf

    strategy = train(Shown(), plugin(), epochs=LOOK_EVERY // 4)
    assert finite(state_of(strategy.model))


def test_all_finite_sees_one_number_in_any_tensor():
    tensors = [torch.zeros(3), torch.ones(2, 2)]
    assert all_finite(tensors) and all_finite([])
    for bad in (math.nan, math.inf, -math.inf):
        tensors[1][1, 0] = bad
        assert not all_finite(tensors)


# The merge itself


@pytest.mark.parametrize("kind", ["shared", "fresh", "own"])
def test_a_merge_that_is_not_finite_is_taken_back(train, kind, same, monkeypatch):
    def overflow(weights, *others):
        merged(weights, *others)
        if not done:
            with torch.no_grad():
                weights[1][0] = math.inf
        done.append(True)

    merged, done = fusion.merge_, []
    monkeypatch.setattr(fusion, "merge_", overflow)
    plugin = merging(rehearsal={"optimizer": kind})
    before, after = Snapshots(), Snapshots()
    with pytest.warns(UserWarning, match="the merge was not finite; that merge was given up"):
        strategy = train(before, plugin, after)
    position = ITERATIONS + 3
    assert same(before.states[position], after.states[position])
    assert [merge.merged for merge in plugin.history.merges] == [False, *[True] * 5]
    assert plugin.history.merges[0].kept is None
    assert finite(state_of(strategy.model))
