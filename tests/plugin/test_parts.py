"""Parts of the method that a preset does not have: without a memory, beside a penalty, measured at a cost."""

import warnings

import pytest
import torch
from plugin_runs import ITERATIONS, Snapshots, everything, merging, state_of, watched
from torch import nn

from avalanche_aim import AIMMergingPlugin, RehearsalMemory
from avalanche_aim.merging import (
    Activations,
    AdaptiveInterval,
    Dare,
    ExponentialAverage,
    FixedInterval,
    FixedWeights,
    GroupedWeights,
    OncePerTask,
    RandomInterval,
    Schedule,
    TailAverage,
    Ties,
)
from avalanche_aim.rehearsal import Rehearsal


class Looking(Schedule):
    """Never merges, and keeps what it is asked to look at."""

    def __init__(self, *names):
        super().__init__()
        self.names = self.needs = names
        self.seen = []

    def due(self, observation):
        self.seen.append([getattr(observation, name) for name in self.names])


@pytest.fixture
def linear():
    return lambda: nn.Linear(8, 6)


# Without a memory


def test_without_a_rehearsal_merging_begins_with_the_second_experience(train):
    plugin = AIMMergingPlugin("paper", rehearsal=None, schedule=FixedInterval(4))
    train(plugin)
    assert [(m.experience, m.iteration) for m in plugin.history.merges] == [(e, i) for e in (1, 2) for i in (4, 8, 12)]
    assert plugin.memory is None and plugin.history.iterations == []
    assert {(m.memory_iterations, m.memory_loss_before) for m in plugin.history.merges} == {(0, None)}


def test_without_a_rehearsal_the_past_adds_nothing(train, linear):
    plugin = AIMMergingPlugin("paper", rehearsal=None, schedule=OncePerTask(), weights=FixedWeights(0.25, 0.75))
    ends = Snapshots()
    ends.after_training_exp = lambda strategy, **_: ends.states.append(state_of(strategy.model))
    train(plugin, ends, model=linear)
    trained, merged = ends.states[2 * ITERATIONS], ends.states[2 * ITERATIONS + 1]
    start = ends.starts[1]["weight"]
    torch.testing.assert_close(merged["weight"], start + 0.25 * (trained["weight"] - start))


def test_without_a_rehearsal_all_of_the_new_leaves_training_bit_for_bit(train, same):
    plugin = AIMMergingPlugin("paper", rehearsal=None, schedule=FixedInterval(4), weights=FixedWeights(1.0, 0.0))
    assert same(everything(train(plugin)), everything(train()))
    assert len(plugin.history.merges) == 6


# Coefficients and rules


def test_coefficients_of_one_undo_nothing(train, linear):
    plugin = merging(weights=FixedWeights(1.0, 1.0), rehearsal={"lr_factor": 1e-6})
    before, after = watched(train, plugin, model=linear)
    for old, new in zip(before.states, after.states, strict=True):
        torch.testing.assert_close(old, new, atol=1e-5, rtol=1e-5)


def test_groups_of_weights_are_merged_with_coefficients_of_their_own(train, linear):
    plugin = merging(weights=GroupedWeights({"bias": (1, 0)}, others=(0, 0)))
    before, after = watched(train, plugin, model=linear)
    at = ITERATIONS + 3
    assert torch.equal(after.states[at]["bias"], before.states[at]["bias"])
    torch.testing.assert_close(after.states[at]["weight"], after.starts[1]["weight"])
    assert (plugin.history.merges[0].alpha_new, plugin.history.merges[0].alpha_past) == (0.5, 0.0)


@pytest.mark.parametrize("rule", [Ties(0.5), Dare(0.5, seed=1), "ties", {"name": "dare", "drop": 0.2}])
def test_other_rules_merge_too(train, rule):
    plugin = merging(rule=rule)
    strategy = train(plugin)
    assert [merge.merged for merge in plugin.history.merges] == [True] * 6
    assert all(bool(weight.isfinite().all()) for weight in strategy.model.parameters())


# Rehearsals


def test_a_penalty_is_added_to_the_memory_loss_and_not_recorded(train, linear):
    class Anchored(Rehearsal):
        def start(self, weights):
            self.anchor = [w.detach().clone() for w in weights]

        def penalty(self, weights):
            return 1e3 * sum(((w - a) ** 2).sum() for w, a in zip(weights, self.anchor, strict=True))

    moved = []
    for rehearsal in (Rehearsal(optimizer="fresh"), Anchored(optimizer="fresh")):
        plugin = merging(FixedInterval(ITERATIONS), rehearsal=rehearsal, weights=FixedWeights(1.0, 1.0))
        ends = Snapshots()
        train(plugin, ends, model=linear, optimizer=lambda w: torch.optim.SGD(w, lr=1e-4))
        moved.append(sum(float((ends.states[-1][n] - ends.starts[2][n]).abs().sum()) for n in ("weight", "bias")))
        assert plugin.history.merges[0].memory_loss_before < 100
    assert moved[1] < moved[0]


def test_held_out_rows_are_never_rehearsed_and_their_loss_can_be_observed(train):
    looking, drawn = Looking("held_out_loss"), {}
    plugin = merging(looking, rehearsal={"hold_out": 0.25}, memory=RehearsalMemory(8))
    batch = plugin.memory.batch

    def noted(size, generator, among):
        drawn.setdefault(tuple(among), 0)
        return batch(size, generator, among)

    plugin.memory.batch = noted
    train(plugin)
    assert set(drawn) == {
        (0, 1, 3, 4, 5, 7), (2, 6),
        (0, 1, 3, 4, 5, 7, 8, 9, 11, 12, 13, 15), (2, 6, 10, 14),
    }  # fmt: skip
    assert len(looking.seen) == 2 * ITERATIONS and all(0 < loss < 10 for (loss,) in looking.seen)


def test_a_held_out_loss_without_held_out_rows_is_refused(train):
    with pytest.raises(ValueError, match="held_out_loss: expected rows that are held out, got none of 8"):
        train(merging(Looking("held_out_loss")))


# What observations measure


def test_looking_at_everything_leaves_training_bit_for_bit(train, same):
    names = ("training_loss", "historical_loss", "held_out_loss", "movement", "step_length", "gradient_norm",
             "gradient_cosine")  # fmt: skip
    looking = Looking(*names)
    strategy = train(merging(looking, rehearsal={"hold_out": 0.5}))
    assert same(everything(strategy), everything(train()))
    assert all(-1 <= cosine <= 1 for *_, cosine in looking.seen)
    assert all(value > 0 for seen in looking.seen for value in seen[:-1])


def test_step_length_and_movement_are_those_of_the_weights(train, linear):
    looking, after = Looking("step_length", "movement"), Snapshots()
    train(merging(looking), after, model=linear)
    states = [after.starts[1], *after.states[ITERATIONS : 2 * ITERATIONS]]
    for (step, moved), old, new in zip(looking.seen, states, states[1:], strict=False):
        differences = torch.cat([(new[name] - old[name]).flatten() for name in new])
        assert step == pytest.approx(float(differences.norm()), rel=1e-4)
        assert moved == pytest.approx(sum(float((new[n] - states[0][n]).abs().sum()) for n in new), rel=1e-4)


def test_a_step_length_that_no_part_needs_is_refused(train):
    class Careless(Looking):
        needs = ()

        def __init__(self):
            super().__init__("step_length")
            self.needs = ()

    with pytest.raises(ValueError, match="asked for its step_length, which is not measured here"):
        train(merging(Careless()))


def test_a_forgetting_signal_of_ones_own_decides_when_to_merge(train):
    class Conflict(Activations):
        def update(self, observation):
            return self.count(observation.gradient_cosine < 2)  # always

    plugin = merging(AdaptiveInterval(), forgetting=Conflict())
    train(plugin)
    assert [m.iteration for m in plugin.history.merges if m.experience == 1] == [3, 6, 9, 12]
    assert {m.reason for m in plugin.history.merges} == {"forgetting"}


def test_the_cosine_of_a_merge_is_that_of_its_two_gradients_and_costs_no_pass(train, linear):
    looking = Looking("rehearsed_cosine")
    looking.due = lambda observation, look=looking.due: (
        look(observation) or ("now" if observation.elapsed == ITERATIONS else None)
    )
    plugin = merging(looking, memory=RehearsalMemory(4), forgetting="none", rehearsal={"batch_size": 4})
    gradients, passes = [], []

    class Watch(Snapshots):
        def after_training_iteration(self, strategy, **kwargs):
            gradients.append([w.grad.clone() for w in strategy.model.parameters()])

    def before_fine_tuning(engine, weights, iterations, tune=plugin.rehearsal.fine_tune):
        x, y = next(iter(torch.utils.data.DataLoader(plugin.memory.buffer, batch_size=len(plugin.memory))))[:2]
        loss = nn.functional.cross_entropy(engine.model(x), y)
        memory = torch.autograd.grad(loss, weights)
        one, other = (torch.cat([g.flatten() for g in side]) for side in (gradients[-1], memory))
        passes.append(float(nn.functional.cosine_similarity(one, other, dim=0)))
        return tune(engine, weights, iterations)

    plugin.rehearsal.fine_tune = before_fine_tuning
    train(Watch(), plugin, model=linear, epochs=6)
    seen = [cosine for (cosine,) in looking.seen]
    assert seen[:ITERATIONS] == [0.0] * ITERATIONS
    assert seen[ITERATIONS] == pytest.approx(passes[0], abs=1e-5)


# Merging at the end


@pytest.mark.parametrize("kind", [lambda: FixedInterval(5, True), lambda: RandomInterval(50, merges_at_end=True)])
def test_what_is_left_unmerged_is_merged_at_the_end_if_asked(train, kind):
    plugin = merging(kind())
    train(plugin)
    last = [m for m in plugin.history.merges if m.experience == 1][-1]
    assert (last.iteration, last.reason) == (ITERATIONS, "end")


def test_nothing_is_merged_twice_at_the_end(train):
    plugin = merging(FixedInterval(4, merges_at_end=True))
    train(plugin)
    assert [m.reason for m in plugin.history.merges] == ["interval"] * 6


# Slow weights


@pytest.mark.parametrize("make", [lambda: ExponentialAverage(0.9), lambda: TailAverage(0.5)])
def test_slow_weights_are_evaluated_and_leave_training_bit_for_bit(train, three_tasks, make, same):
    plugin, evaluated = merging(slow=make()), []
    look = Snapshots()
    look.before_eval = lambda strategy, **_: evaluated.append(state_of(strategy.model))
    strategy = train(plugin, look)
    plain = everything(train(merging()))
    assert same(everything(strategy), plain)
    strategy.eval(three_tasks.test_stream)
    assert same(state_of(strategy.model), plain["model"])
    assert not same(evaluated[-1], plain["model"])
    assert all(torch.equal(evaluated[-1][name], value) for name, value in plugin.merging.slow.average.items())


# What says that nothing merges


def said(train, plugin, **settings):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(plugin, **settings)
    return [str(w.message) for w in caught if "AIMMerging" in str(w.message)]


@pytest.mark.parametrize("memory", [0, 0.0, RehearsalMemory(0)])
def test_an_empty_memory_is_said_once(train, memory):
    (message,) = said(train, merging(memory=memory))
    assert "the memory is empty: nothing is rehearsed, and nothing will merge" in message


def test_experiences_shorter_than_the_first_interval_are_said_once(train):
    (message,) = said(train, merging(FixedInterval(13)))
    assert "nothing was merged in experience 1: it had 12 iterations, fewer than the first interval of 13" in message


def test_merges_that_never_come_due_are_said_too(train):
    (message,) = said(train, merging(Looking()))
    assert "nothing was merged in experience 1: it had 12 iterations; shorten the interval" in message


def test_a_run_that_merges_says_nothing_of_it(train):
    assert said(train, merging()) == []
