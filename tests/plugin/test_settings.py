"""Presets, schedules, seeds, and settings that are refused."""

import pytest
import torch
from avalanche.training.plugins import SupervisedPlugin
from plugin_runs import NEVER, everything, merging, state_of
from torch import nn

from avalanche_aim import AIMMergingPlugin, RehearsalMemory
from avalanche_aim.merging import PRESETS, FixedInterval, OncePerTask, SignalWeights


@pytest.mark.parametrize("preset", list(PRESETS))
def test_every_preset_merges_out_of_the_box(train, preset):
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
        memory_lr_factor=2.0,
        max_grad_norm=5.0,
        monitor_mode="eval",
        memory_batch_size=3,
    )
    controller, rehearsal = plugin.controller, plugin.rehearsal
    assert isinstance(controller.schedule, FixedInterval)
    assert controller.weights == SignalWeights(0.2)
    assert (controller.learning.window, controller.forgetting.factor) == (7, 1.2)
    assert (rehearsal.fine_tuning.state, rehearsal.fine_tuning.max_grad_norm) == ("fresh", 5.0)
    assert rehearsal.fine_tuning.lr_factor == 2.0
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
    with pytest.raises(ValueError, match=r"preset: expected one of .*'paper', 'reference'\], got 'best'"):
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
        ("memory_batch_size", None, "memory_batch_size: expected at least 1 example, or a share .* got None"),
        ("monitor_batch_size", "4", "monitor_batch_size: expected at least 1 example, or a share .* got '4'"),
        ("memory_lr_factor", 0.0, "memory_lr_factor: expected a positive multiple"),
        ("max_grad_norm", 0.0, "max_grad_norm: expected a positive number"),
        ("monitor_mode", "test", "monitor_mode: expected 'eval' or 'train', got 'test'"),
    ],
)
def test_a_setting_out_of_range_is_refused(setting, value, message):
    with pytest.raises(ValueError, match=message):
        AIMMergingPlugin(**{setting: value})


def test_monitoring_every_few_iterations_takes_and_records_only_those_losses(train):
    plugin = merging(FixedInterval(12), monitor_every=4, monitor_batch_size=3)
    sizes = []
    drawn = plugin.memory.batch
    plugin.memory.batch = lambda size, generator: sizes.append(size) or drawn(size, generator)
    train(plugin)
    assert [r.iteration for r in plugin.history.iterations] == [4, 8, 12] * 2
    assert sizes == ([3] * 3 + [8] * 12) * 2
    assert [m.iteration for m in plugin.history.merges] == [12, 12]


@pytest.mark.parametrize("size", [0, -1, 0.0, 1.5, float("nan")])
@pytest.mark.parametrize("name", ["memory_batch_size", "monitor_batch_size"])
def test_a_batch_size_out_of_range_is_refused(name, size):
    with pytest.raises(ValueError, match=f"{name}: expected .* got {size}"):
        AIMMergingPlugin(**{name: size})


def test_the_economical_preset_takes_a_fraction_of_the_passes(train):
    plugin = merging(preset="economical", schedule=PRESETS["economical"].schedule())
    sizes = []
    drawn = plugin.memory.batch
    plugin.memory.batch = lambda size, generator: sizes.append(size) or drawn(size, generator)
    train(plugin, epochs=4)
    assert [(m.elapsed, m.memory_iterations) for m in plugin.history.merges] == [(8, 2)] * 4
    assert sorted(sizes) == [2] * 8 + [8] * 8  # monitoring takes a quarter of the training batch
    assert [r.iteration for r in plugin.history.iterations] == [4, 8, 12, 16] * 2
