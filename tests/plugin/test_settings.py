"""Presets, schedules, seeds, and settings that are refused."""

import pytest
import torch
from avalanche.training.plugins import SupervisedPlugin
from plugin_runs import NEVER, everything, merging, state_of
from torch import nn

from avalanche_aim import AIMMergingPlugin, RehearsalMemory
from avalanche_aim.merging import (
    PRESETS,
    AdaptiveInterval,
    FixedInterval,
    FixedWeights,
    OncePerTask,
    RandomInterval,
    ReferenceInterval,
    ReferenceWeights,
)
from avalanche_aim.rehearsal import Rehearsal


@pytest.mark.parametrize("preset", list(PRESETS))
def test_every_preset_merges_out_of_the_box(train, preset):
    plugin = AIMMergingPlugin(preset, memory=0.25)
    strategy = train(plugin, epochs=5)  # 20 iterations: a merge is forced at 2S = 16 at the latest
    assert {merge.experience for merge in plugin.history.merges} == {1, 2}
    assert all(merge.merged for merge in plugin.history.merges)
    assert all(bool(weight.isfinite().all()) for weight in strategy.model.parameters())


def test_settings_given_change_the_presets_own_parts():
    plugin = AIMMergingPlugin(
        "reference",
        schedule={"initial": 4},
        weights={"long_interval": 50},
        learning={"window": 7},
        forgetting={"factor": 1.2},
        rehearsal={"optimizer": "fresh", "lr_factor": 2.0, "max_grad_norm": 5.0, "monitor": "eval", "batch_size": 3},
        diagnosis={"merges": 6},
    )
    controller, rehearsal = plugin.controller, plugin.rehearsal
    assert isinstance(controller.schedule, ReferenceInterval) and controller.schedule.initial == 4
    assert controller.weights == ReferenceWeights(50)
    assert (controller.learning.window, controller.learning.divided_by) == (7, "planned")
    assert (controller.forgetting.factor, controller.forgetting.extra_losses) == (1.2, 1)
    assert (rehearsal.fine_tuning.state, rehearsal.fine_tuning.max_grad_norm) == ("fresh", 5.0)
    assert (rehearsal.fine_tuning.lr_factor, rehearsal.plan.per) == (2.0, "planned")
    assert (rehearsal.monitor, rehearsal.batch_size) == ("eval", 3)


def test_a_name_chooses_a_part_of_another_kind_with_its_own_settings():
    plugin = AIMMergingPlugin("reference", schedule={"name": "random", "mean": 5}, weights="fixed", rule="ties")
    assert isinstance(plugin.controller.schedule, RandomInterval) and plugin.controller.schedule.mean == 5
    assert plugin.controller.weights == FixedWeights()


def test_an_object_replaces_a_part_whole():
    schedule, rehearsal = FixedInterval(4), Rehearsal(hold_out=0.5)
    plugin = AIMMergingPlugin("economical", schedule=schedule, rehearsal=rehearsal)
    assert plugin.controller.schedule is schedule
    assert plugin.rehearsal is rehearsal
    assert (rehearsal.plan.ratio, rehearsal.fine_tuning.lr_factor) == (1.0, 1.0)


def test_another_schedule_leaves_the_economical_rehearsal_as_it_is():
    plugin = AIMMergingPlugin("economical", schedule=FixedInterval(8))
    assert (plugin.rehearsal.plan.ratio, plugin.rehearsal.fine_tuning.lr_factor) == (0.2, 4.0)
    assert plugin.rehearsal.plan.memory_iterations(8, 8, False) == 2


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


def test_the_same_seeds_give_the_same_run(train, same):
    first, second = merging(seed=3), merging(seed=3)
    assert same(everything(train(first)), everything(train(second)))
    assert first.history == second.history


def test_another_seed_of_the_plugin_rehearses_other_examples(train, same):
    first, second = merging(seed=3), merging(seed=4)
    assert not same(state_of(train(first).model), state_of(train(second).model))
    assert first.memory.selected != second.memory.selected


def test_how_often_merges_happen_does_not_change_which_batches_are_monitored(train, same):
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


# Errors


def test_a_model_without_trainable_parameters_is_refused_before_training(train):
    class Freeze(SupervisedPlugin):
        def before_training(self, strategy, **kwargs):
            strategy.model.requires_grad_(False)

    with pytest.raises(ValueError, match=r"Sequential has no trainable parameter .* unfreeze some weights or add LoRA"):
        train(Freeze(), merging())


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match=r"preset: expected one of .*'paper', 'reference', 'settled', .*, got 'best'"):
        AIMMergingPlugin("best")


@pytest.mark.parametrize("name", ["", None, "papr"])
def test_no_name_of_a_preset_is_taken_for_the_default(name):
    with pytest.raises(ValueError, match="preset: expected one of"):
        AIMMergingPlugin(name)


@pytest.mark.parametrize(
    ("part", "given", "expected"),
    [
        ("schedule", 8, r"a Schedule such as AdaptiveInterval\(\)"),
        ("schedule", FixedInterval, r"a Schedule such as AdaptiveInterval\(\)"),
        ("learning", 5, "a LearningSignal"),
        ("forgetting", len, "a forgetting signal"),
        ("weights", (0.5, 0.5), "a function of the merge"),
        ("rule", 0.2, "a function of task vectors"),
        ("rehearsal", RehearsalMemory(3), r"Rehearsal\(\)"),
        ("slow", 0.99, "slow weights such as"),
        ("diagnosis", True, "a Diagnosis"),
    ],
)
def test_an_object_that_is_no_such_part_is_refused(part, given, expected):
    with pytest.raises(TypeError, match=f"{part}: expected {expected}.*, a dict of settings or a name, got"):
        AIMMergingPlugin("paper", **{part: given})


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("memory", 1.5, "memory: expected a fraction"),
        ("memory", -1, "memory: expected a count"),
        ("learning", {"window": 1}, "window: expected at least 2"),
        ("learning", {"window": 0}, "window: expected at least 2"),
        ("learning", {"windw": 3}, "learning: expected some of window, divided_by, got windw"),
        ("learning", "trend", "learning: expected settings or an object, since it has one kind only"),
        ("forgetting", {"name": "loss", "factor": 0.0}, "factor: expected a positive multiple"),
        (
            "schedule",
            "",
            "schedule: expected one of adaptive, reference, fixed, random, once, model-time, shares, got the name ''",
        ),
        ("schedule", {"name": "once", "n": 3}, "schedule: expected no setting, got n"),
        ("rule", "tis", "rule: expected one of interpolate, ties, dare, got the name 'tis'"),
        ("rule", {"density": 0.5}, "rule: expected no setting, got density"),
        ("slow", {"decay": 0.5}, r"slow: expected a name of exponential, tail beside \['decay'\]"),
        ("rehearsal", {"optimizer": "adam"}, "optimizer: expected one of"),
        ("rehearsal", {"batch_size": 0}, "batch_size: expected at least 1"),
        ("rehearsal", {"batch_size": None}, "batch_size: expected at least 1 example, or a share .* got None"),
        ("rehearsal", {"monitor_batch_size": "4"}, "monitor_batch_size: expected at least 1 example, .* got '4'"),
        ("rehearsal", {"lr_factor": 0.0}, "lr_factor: expected a positive multiple"),
        ("rehearsal", {"max_grad_norm": 0.0}, "max_grad_norm: expected a positive number"),
        ("rehearsal", {"monitor": "test"}, "monitor: expected 'eval' or 'train', got 'test'"),
        ("rehearsal", {"hold_out": 1.0}, r"hold_out: expected a share of the memory in \[0, 1\), got 1.0"),
        ("seed", -1, "seed: expected a whole number of 0 or more, got -1"),
    ],
)
def test_a_setting_out_of_range_is_refused(setting, value, message):
    with pytest.raises(ValueError, match=message):
        AIMMergingPlugin("paper", **{setting: value})


@pytest.mark.parametrize("rehearsal", [None, Rehearsal(RehearsalMemory(3))])
def test_a_memory_beside_a_rehearsal_that_takes_none_is_refused(rehearsal):
    with pytest.raises(ValueError, match="memory: expected none beside"):
        AIMMergingPlugin("paper", memory=8, rehearsal=rehearsal)


def test_one_rehearsal_in_two_plugins_is_refused():
    rehearsal = Rehearsal()
    AIMMergingPlugin("paper", rehearsal=rehearsal)
    with pytest.raises(ValueError, match="rehearsal: expected an object of its own for each plugin"):
        AIMMergingPlugin("paper", rehearsal=rehearsal)


def test_monitoring_every_few_iterations_takes_and_records_only_those_losses(train):
    plugin = merging(FixedInterval(12), rehearsal={"monitor_every": 4, "monitor_batch_size": 3})
    sizes = []
    drawn = plugin.memory.batch
    plugin.memory.batch = lambda size, *rest: sizes.append(size) or drawn(size, *rest)
    train(plugin)
    assert [r.iteration for r in plugin.history.iterations] == [4, 8, 12] * 2
    assert sizes == ([3] * 3 + [8] * 12) * 2
    assert [m.iteration for m in plugin.history.merges] == [12, 12]


@pytest.mark.parametrize("size", [0, -1, 0.0, 1.5, float("nan")])
@pytest.mark.parametrize("name", ["batch_size", "monitor_batch_size"])
def test_a_batch_size_out_of_range_is_refused(name, size):
    with pytest.raises(ValueError, match=f"{name}: expected .* got {size}"):
        AIMMergingPlugin("paper", rehearsal={name: size})


def test_the_economical_preset_takes_a_fraction_of_the_passes(train):
    plugin = merging(AdaptiveInterval(), preset="economical")
    sizes = []
    drawn = plugin.memory.batch
    plugin.memory.batch = lambda size, *rest: sizes.append(size) or drawn(size, *rest)
    train(plugin, epochs=4)
    assert [(m.elapsed, m.memory_iterations) for m in plugin.history.merges] == [(8, 2)] * 4
    assert sorted(sizes) == [2] * 8 + [8] * 8  # monitoring takes a quarter of the training batch
    assert [r.iteration for r in plugin.history.iterations] == [4, 8, 12, 16] * 2
