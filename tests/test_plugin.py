"""AIMMerging in Avalanche: what it touches, what it leaves alone, and what it says."""

import math
import random
import warnings
from copy import deepcopy
from itertools import pairwise

import numpy as np
import pytest
import torch
from avalanche.benchmarks.scenarios.supervised import with_classes_timeline
from avalanche.benchmarks.scenarios.task_aware import task_incremental_benchmark
from avalanche.models import IncrementalClassifier, MultiHeadClassifier, MultiTaskModule
from avalanche.training import Naive
from avalanche.training.plugins import EWCPlugin, LRSchedulerPlugin, ReplayPlugin, SupervisedPlugin
from torch import nn
from torch.nn import functional

from avalanche_aim import AIMMergingPlugin, RehearsalMemory
from avalanche_aim.merging import AdaptiveInterval, FixedInterval, FixedWeights, OncePerTask, SignalWeights

ITERATIONS = 12  # of each experience: 32 examples, batches of 8, three epochs
NEVER = 10**6
MEMORY = 8
MEMORY_BATCH = 5  # by its size a criterion recognises a memory batch; training batches have 8


def merging(schedule=None, **settings):
    """Return a plugin that merges every four iterations, unless told otherwise."""
    return AIMMergingPlugin(schedule=schedule or FixedInterval(4), **({"memory": MEMORY} | settings))


def state_of(model):
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def same(a, b):
    """Compare two nested states bit for bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


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


# A plugin that only looks


@pytest.mark.parametrize("preset", ["paper", "reference"])
def test_a_plugin_that_never_merges_leaves_training_bit_for_bit(train, preset):
    plugin = merging(FixedInterval(NEVER), preset=preset)
    assert same(everything(train(plugin)), everything(train()))
    assert len(plugin.history.iterations) == 2 * ITERATIONS
    assert plugin.history.merges == []


OTHERS = {
    "replay": lambda optimizer: ReplayPlugin(mem_size=12),
    "ewc": lambda optimizer: EWCPlugin(1.0),
    "lr": lambda optimizer: LRSchedulerPlugin(torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_plugin_that_never_merges_leaves_other_plugins_bit_for_bit(train, other):
    plain = everything(train(OTHERS[other]))
    assert same(everything(train(merging(FixedInterval(NEVER)), OTHERS[other])), plain)
    assert same(everything(train(OTHERS[other], merging(FixedInterval(NEVER)))), plain)


@pytest.mark.parametrize("schedule", [FixedInterval(1), OncePerTask()], ids=["fixed", "once"])
def test_the_first_experience_trains_undisturbed(train, three_tasks, schedule):
    plugin = merging(schedule)
    first = three_tasks.train_stream[:1]
    assert same(everything(train(plugin, stream=first)), everything(train(stream=first)))
    assert (plugin.history.iterations, plugin.history.merges) == ([], [])


def test_without_a_memory_nothing_ever_happens(train):
    plugin = merging(FixedInterval(1), memory=0)
    assert same(everything(train(plugin)), everything(train()))
    assert plugin.history.iterations == []


@pytest.mark.parametrize("kind", ["fresh", "own"])
def test_merges_that_keep_all_of_the_new_and_none_of_the_past_leave_training_bit_for_bit(train, kind):
    plugin = merging(weights=FixedWeights(1.0, 0.0), memory_optimizer=kind)
    assert same(everything(train(plugin)), everything(train()))
    assert len(plugin.history.merges) == 6


def test_monitoring_leaves_gradients_batch_output_and_loss_as_they_were(train):
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


# What a merge does to the model


def partly_frozen():
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 6))
    model[0].requires_grad_(False)
    model[1].weight.requires_grad_(False)
    return model


@pytest.mark.parametrize("kind", ["shared", "fresh", "own"])
def test_a_merge_touches_no_frozen_weight_and_no_buffer(train, kind):
    plugin = merging(memory_optimizer=kind)
    before, after = watched(train, plugin, model=partly_frozen)
    trainable = {name for name, weight in partly_frozen().named_parameters() if weight.requires_grad}
    positions = merge_positions(plugin)
    assert len(positions) == 6
    for position in positions:
        old, new = before.states[position], after.states[position]
        assert {name for name in old if not torch.equal(old[name], new[name])} == trainable


def test_frozen_weights_never_change(train):
    strategy = train(merging(), model=partly_frozen)
    torch.manual_seed(0)
    start = partly_frozen()
    assert same(state_of(strategy.model[0]), state_of(start[0]))
    assert torch.equal(strategy.model[1].weight, start[1].weight)


def test_between_merges_the_weights_are_left_alone(train):
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
    plugin = merging(FixedInterval(ITERATIONS, memory_ratio=0.0), weights=FixedWeights(0.25, 0.75))
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
    plugin = merging(OncePerTask(memory_ratio=3.0))
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
def test_only_the_shared_choice_changes_the_training_state_of_the_optimizer(train, kind, untouched):
    states = []

    class Look(SupervisedPlugin):
        def after_training_iteration(self, strategy, **kwargs):
            states.append(deepcopy(strategy.optimizer.state_dict()["state"]))

    plugin = merging(memory_optimizer=kind)
    train(Look(), plugin, Look())
    for position in merge_positions(plugin):
        assert same(states[2 * position], states[2 * position + 1]) == untouched


# Beside other plugins


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


# Models, templates and criteria


class TwoLayers(MultiTaskModule):
    """A shared layer and one head a task."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(8, 16)
        self.heads = MultiHeadClassifier(16, initial_out_features=6, masking=False)

    def forward(self, x, task_labels):
        return self.heads(torch.relu(self.shared(x)), task_labels)


@pytest.fixture
def with_tasks(three_tasks):
    return with_classes_timeline(task_incremental_benchmark(three_tasks)).train_stream


def test_it_rehearses_the_heads_of_past_tasks(train, with_tasks):
    plugin = merging()
    before, after = watched(train, plugin, model=TwoLayers, stream=with_tasks)
    positions = merge_positions(plugin)
    assert len(positions) == 6
    name = "heads.classifiers.0.classifier.weight"
    for position in positions:
        assert not torch.equal(before.states[position][name], after.states[position][name])


def test_a_memory_batch_carries_the_task_labels_of_its_examples(train, with_tasks):
    labels = []

    class Labelled(TwoLayers):
        def forward(self, x, task_labels):
            if len(x) == MEMORY_BATCH:
                labels.append(set(task_labels.tolist()))
            return super().forward(x, task_labels)

    train(merging(memory_batch_size=MEMORY_BATCH), model=Labelled, stream=with_tasks)
    half = len(labels) // 2
    assert set().union(*labels[:half]) == {0}
    assert set().union(*labels[half:]) == {0, 1}


@pytest.mark.parametrize("kind", ["shared", "fresh", "own"])
def test_a_classifier_that_grows_is_merged_as_it_has_grown(train, kind):
    plugin = merging(memory_optimizer=kind)
    before, after = watched(train, plugin, model=lambda: nn.Sequential(nn.Linear(8, 16), IncrementalClassifier(16)))
    positions = merge_positions(plugin)
    assert [len(after.states[position]["1.classifier.bias"]) for position in positions] == [4, 4, 4, 6, 6, 6]
    for position in positions:
        old, new = (run.states[position]["1.classifier.weight"] for run in (before, after))
        assert (old != new).any(dim=1).all()  # every class, old and new


def test_a_custom_criterion_gives_every_loss(train):
    sizes = []

    def criterion(output, target):
        sizes.append(len(target))
        return functional.cross_entropy(output, target, label_smoothing=0.1)

    plugin = merging(memory_batch_size=MEMORY_BATCH)
    train(plugin, criterion=criterion)
    memory_iterations = sum(merge.memory_iterations for merge in plugin.history.merges)
    assert sizes.count(8) == 3 * ITERATIONS
    assert sizes.count(MEMORY_BATCH) == len(plugin.history.iterations) + memory_iterations


def test_a_template_with_a_loss_of_its_own_keeps_it(train):
    class Constant(Naive):
        def criterion(self):
            return super().criterion() * 0 + 3

    plugin = merging()
    train(plugin, template=Constant)
    assert {record.historical_loss for record in plugin.history.iterations} == {3.0}
    assert {merge.memory_loss_before for merge in plugin.history.merges} == {3.0}


def test_memory_batches_have_the_training_batch_size_unless_told_otherwise(train):
    sizes = []

    class Sized(nn.Linear):
        def forward(self, x):
            if not torch.is_grad_enabled():
                sizes.append(len(x))
            return super().forward(x)

    train(merging(memory=20), model=lambda: Sized(8, 6))
    assert set(sizes) == {8}


@pytest.mark.parametrize(("preset", "mode"), [("paper", False), ("reference", True)])
def test_the_historical_loss_is_taken_in_the_mode_of_the_preset(train, preset, mode):
    modes = []

    class Moded(nn.Linear):
        def forward(self, x):
            if not torch.is_grad_enabled():
                modes.append(self.training)
            return super().forward(x)

    train(merging(preset=preset), model=lambda: Moded(8, 6))
    assert set(modes) == {mode}


def test_a_float64_model_is_trained_as_without_the_plugin(train):
    class Double(nn.Linear):
        def forward(self, x):
            return super().forward(x.double())

    def model():
        return Double(8, 6).double()

    plugin = merging(weights=FixedWeights(1.0, 0.0))
    assert same(everything(train(plugin, model=model)), everything(train(model=model)))


# Presets, schedules and seeds


@pytest.mark.parametrize("preset", ["paper", "reference"])
def test_both_presets_merge_out_of_the_box(train, preset):
    plugin = AIMMergingPlugin(preset, memory=0.25)
    strategy = train(plugin, epochs=5)  # 20 iterations: a merge is forced at 2S = 16 at the latest
    assert {merge.experience for merge in plugin.history.merges} == {1, 2}
    assert all(merge.merged for merge in plugin.history.merges)
    assert all(bool(weight.isfinite().all()) for weight in strategy.model.parameters())


def test_settings_given_replace_those_of_the_preset():
    plugin = AIMMergingPlugin(
        "reference",
        FixedInterval(4),
        weights=SignalWeights(0.2),
        window=7,
        threshold_factor=1.2,
        memory_optimizer="fresh",
        max_grad_norm=5.0,
        monitor_mode="eval",
        memory_batch_size=3,
    )
    controller, rehearsal = plugin.controller, plugin.rehearsal
    assert isinstance(controller.schedule, FixedInterval)
    assert controller.weights == SignalWeights(0.2)
    assert (controller.learning.window, controller.forgetting.factor) == (7, 1.2)
    assert (rehearsal.fine_tuning.state, rehearsal.fine_tuning.max_grad_norm) == ("fresh", 5.0)
    assert (rehearsal.monitor_in_eval, rehearsal.batch_size) == (True, 3)


def test_once_per_task_merges_exactly_once_in_each_later_experience(train):
    plugin = merging(OncePerTask())
    train(plugin)
    assert [(m.experience, m.iteration, m.elapsed) for m in plugin.history.merges] == [(1, 12, 12), (2, 12, 12)]
    assert {m.reason for m in plugin.history.merges} == {"end"}


def test_a_given_memory_is_used(train):
    memory = RehearsalMemory(3, seed=5)
    plugin = merging(memory=memory)
    train(plugin)
    assert plugin.memory is memory
    assert [len(rows) for rows in memory.selected] == [3, 3, 3]


def test_the_same_seeds_give_the_same_run(train):
    first, second = merging(seed=3), merging(seed=3)
    assert same(everything(train(first)), everything(train(second)))
    assert first.history == second.history


def test_another_seed_of_the_plugin_rehearses_other_examples(train):
    first, second = merging(seed=3), merging(seed=4)
    assert not same(state_of(train(first).model), state_of(train(second).model))
    assert first.memory.selected != second.memory.selected


def test_how_often_merges_happen_does_not_change_which_batches_are_monitored(train):
    rows = []

    class Seen(nn.Linear):
        def forward(self, x):
            if not torch.is_grad_enabled():
                rows.append(x.clone())
            return super().forward(x)

    for n in (2, NEVER):
        train(merging(FixedInterval(n)), model=lambda: Seen(8, 6))
    half = len(rows) // 2
    assert same(rows[:half], rows[half:])


# What it records and publishes


def test_every_iteration_of_the_later_experiences_is_recorded_once(train):
    plugin = merging()
    train(plugin)
    places = [(record.experience, record.iteration) for record in plugin.history.iterations]
    assert places == [(experience, i) for experience in (1, 2) for i in range(1, ITERATIONS + 1)]


def test_merges_and_iterations_agree(train):
    plugin = merging(AdaptiveInterval(3, cold_start=1), threshold_factor=0.9)
    train(plugin)
    merges = plugin.history.merges
    iterations = {(record.experience, record.iteration): record for record in plugin.history.iterations}
    for experience in (1, 2):
        of_this = [merge for merge in merges if merge.experience == experience]
        assert len(of_this) >= 2
        ends = [0, *(merge.iteration for merge in of_this)]
        assert [merge.elapsed for merge in of_this] == [b - a for a, b in pairwise(ends)]
        assert [merge.interval for merge in of_this[1:]] == [merge.next_interval for merge in of_this[:-1]]
        for merge in of_this:
            span = [iterations[experience, i] for i in range(merge.iteration - merge.elapsed + 1, merge.iteration + 1)]
            assert sum(record.active for record in span) == merge.activations
            assert span[-1].threshold == merge.threshold


def test_the_training_loss_is_recorded_as_it_was(train):
    plugin, losses = merging(), []

    class Look(SupervisedPlugin):
        def after_training_iteration(self, strategy, **kwargs):
            losses.append(float(strategy.loss.detach()))

    train(Look(), plugin)
    assert [record.training_loss for record in plugin.history.iterations] == losses[ITERATIONS:]


def test_a_loss_is_active_exactly_from_the_threshold_on(train):
    plugin = merging(FixedInterval(6), threshold_factor=0.9)
    train(plugin)
    compared = [record for record in plugin.history.iterations if record.status in ("active", "quiet")]
    assert {record.active for record in compared} == {True, False}
    assert all(record.active == (record.historical_loss >= record.threshold) for record in compared)


def test_metric_values_reach_the_evaluator(train):
    plugin = merging(FixedInterval(4))
    last = train(plugin).evaluator.get_last_metrics()
    merge, record = plugin.history.merges[-1], plugin.history.iterations[-1]
    assert {name: value for name, value in last.items() if name.startswith("AIM/")} == {
        "AIM/HistoricalLoss": record.historical_loss,
        "AIM/Threshold": record.threshold,
        "AIM/LearningSignal": merge.learning_signal,
        "AIM/AlphaNew": merge.alpha_new,
        "AIM/AlphaPast": merge.alpha_past,
        "AIM/Interval": 4,
        "AIM/Merge": 6,
    }


def test_metric_values_reach_the_loggers_at_their_iteration(train):
    plugin = merging(FixedInterval(4))
    logged = train(plugin).evaluator.loggers[0].values
    assert logged["AIM/Merge"] == [(position, n) for n, position in enumerate(merge_positions(plugin), start=1)]
    assert [x for x, _ in logged["AIM/HistoricalLoss"]] == list(range(ITERATIONS, 3 * ITERATIONS))


def test_a_run_raises_no_warning(train):
    torch.set_warn_always(True)  # else torch says each thing only once a process
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            train(merging())
    finally:
        torch.set_warn_always(False)
    assert {str(w.message) for w in caught if "avalanche_aim" in w.filename} == set()


# Losses that are not finite


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


def failing_run(train, criterion, **settings):
    """Return the plugin, the snapshots around it and the warnings that it gave."""
    plugin = merging(memory_batch_size=MEMORY_BATCH, **settings)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before, after = watched(train, plugin, criterion=criterion)
    return plugin, before, after, [str(w.message) for w in caught if "AIMMerging" in str(w.message)]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_no_merge_is_made_where_the_historical_loss_is_not_finite(train, value):
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
def test_a_run_whose_historical_losses_are_never_finite_is_a_plain_run(train):
    strategy = train(merging(memory_batch_size=MEMORY_BATCH), criterion=FailingLoss(monitored=range(99)))
    assert same(everything(strategy), everything(train()))


@pytest.mark.parametrize("kind", ["shared", "fresh", "own"])
@pytest.mark.parametrize("failing", [0, 2, 3])
def test_the_trained_weights_stay_where_a_memory_loss_is_not_finite(train, kind, failing):
    plugin, before, after, warned = failing_run(train, FailingLoss(rehearsed=[failing]), memory_optimizer=kind)
    position = merge_positions(plugin)[0]
    assert not plugin.history.merges[0].merged
    assert same(before.states[position], after.states[position])
    assert warned


@pytest.mark.parametrize("kind", ["shared", "fresh", "own"])
def test_a_memory_loss_that_is_not_finite_does_not_spoil_the_rest_of_the_run(train, kind):
    plugin, _, after, _ = failing_run(train, FailingLoss(rehearsed=[1]), memory_optimizer=kind)
    assert all(bool(value.isfinite().all()) for value in after.states[-1].values())
    assert [merge.merged for merge in plugin.history.merges] == [False, True, True, True, True, True]


@pytest.mark.parametrize("kind", ["shared", "fresh", "own"])
def test_the_trained_weights_stay_where_fine_tuning_ends_in_weights_that_are_not_finite(train, kind):
    class BadGradient(FailingLoss):
        def __call__(self, output, target):
            loss = functional.cross_entropy(output, target)
            if not torch.is_grad_enabled() or len(target) != MEMORY_BATCH:
                return loss
            return loss + (output.sum() * 0).sqrt()  # finite, but its gradient is not

    plugin, before, after, _ = failing_run(
        train, BadGradient(), memory_optimizer=kind, schedule=FixedInterval(4, memory_ratio=0.25)
    )
    position = merge_positions(plugin)[0]
    assert plugin.history.merges[0].memory_iterations == 1
    assert same(before.states[position], after.states[position])


# Errors


def test_a_model_without_trainable_parameters_is_refused_before_training(train):
    class Freeze(SupervisedPlugin):
        def before_training(self, strategy, **kwargs):
            strategy.model.requires_grad_(False)

    with pytest.raises(ValueError, match=r"Sequential has no trainable parameter .* unfreeze some weights or add LoRA"):
        train(Freeze(), merging())


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match=r"preset: expected one of \['paper', 'reference'\], got 'best'"):
        AIMMergingPlugin("best")


@pytest.mark.parametrize("schedule", [8, "fixed", FixedInterval])
def test_a_schedule_of_the_wrong_type_is_refused(schedule):
    with pytest.raises(TypeError, match=r"schedule: expected a Schedule such as AdaptiveInterval\(\)"):
        AIMMergingPlugin(schedule=schedule)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("memory", 1.5, "memory: expected a fraction"),
        ("memory", -1, "memory: expected a count"),
        ("window", 1, "window: expected at least 2"),
        ("window", 0, "window: expected at least 2"),
        ("threshold_factor", 0.0, "threshold factor: expected a positive number"),
        ("memory_optimizer", "adam", "memory_optimizer: expected one of"),
        ("memory_batch_size", 0, "memory_batch_size: expected at least 1"),
        ("max_grad_norm", 0.0, "max_grad_norm: expected a positive number"),
        ("monitor_mode", "test", "monitor_mode: expected 'eval' or 'train', got 'test'"),
    ],
)
def test_a_setting_out_of_range_is_refused(setting, value, message):
    with pytest.raises(ValueError, match=message):
        AIMMergingPlugin(**{setting: value})
