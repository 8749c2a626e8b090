"""Named strategies: what each adds to plain training."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from avalanche.training.plugins import ReplayPlugin

from avalanche_aim import AIMMergingPlugin, LanguageModel, RehearsalMemory, text_benchmark
from avalanche_aim.experiments import STRATEGIES
from avalanche_aim.experiments.strategies import check_strategies
from avalanche_aim.merging import AdaptiveInterval, FixedInterval, OncePerTask, RandomInterval, ReferenceInterval
from avalanche_aim.text import TextTask

AIM_VARIANTS = ("aim", "aim-reference", "fixed-interval", "random-interval", "single-merge")


def memory_of(plugin: Any) -> RehearsalMemory:
    return plugin.storage_policy if isinstance(plugin, ReplayPlugin) else plugin.memory


def test_naive_adds_nothing() -> None:
    assert STRATEGIES["naive"](0.02, 0) == []


@pytest.mark.parametrize("name", ["replay", *AIM_VARIANTS])
def test_every_other_strategy_adds_one_plugin_with_the_memory_asked_for(name: str) -> None:
    (plugin,) = STRATEGIES[name](7, 0)
    assert isinstance(plugin, ReplayPlugin if name == "replay" else AIMMergingPlugin)
    assert memory_of(plugin).size == 7


@pytest.mark.parametrize("name", ["replay", *AIM_VARIANTS])
def test_each_run_has_a_plugin_of_its_own(name: str) -> None:
    (one,), (other,) = STRATEGIES[name](7, 0), STRATEGIES[name](7, 0)
    assert one is not other
    assert memory_of(one) is not memory_of(other)


@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        ("aim", AdaptiveInterval),
        ("aim-reference", ReferenceInterval),
        ("fixed-interval", FixedInterval),
        ("random-interval", RandomInterval),
        ("single-merge", OncePerTask),
    ],
)
def test_merging_strategies_differ_in_when_they_merge(name: str, schedule: type) -> None:
    assert type(STRATEGIES[name](7, 0)[0].controller.schedule) is schedule


def test_every_strategy_has_a_test_here() -> None:
    assert set(STRATEGIES) == {"naive", "replay", *AIM_VARIANTS}


@pytest.mark.parametrize("other", AIM_VARIANTS)
def test_replay_and_merging_rehearse_the_same_examples(
    other: str, llama: LanguageModel, tasks: list[TextTask], strategy_of: Callable[..., Any]
) -> None:
    benchmark = text_benchmark(tasks, llama.tokenizer)
    selected = []
    for name in ("replay", other):
        plugins = STRATEGIES[name](3, 5)
        strategy = strategy_of(deepcopy(llama), plugins=plugins)
        for experience in benchmark.train_stream:
            strategy.train(experience)
        selected.append(memory_of(plugins[0]).selected)
    assert selected[0] == selected[1]
    assert [len(rows) for rows in selected[0]] == [3, 3, 3]


def test_another_seed_rehearses_other_examples(
    llama: LanguageModel, closed_tasks: list[TextTask], strategy_of: Callable[..., Any]
) -> None:
    benchmark = text_benchmark(closed_tasks, llama.tokenizer)
    selected = []
    for seed in (0, 1):
        plugins = STRATEGIES["replay"](3, seed)
        strategy_of(deepcopy(llama), plugins=plugins).train(benchmark.train_stream[0])
        selected.append(memory_of(plugins[0]).selected)
    assert selected[0] != selected[1]


def test_known_names_are_kept_in_order_each_once() -> None:
    assert check_strategies(["aim", "naive", "aim"]) == ["aim", "naive"]


@pytest.mark.parametrize(("names", "got"), [(["naive", "aimm", "er"], "aimm, er"), ([], "none")])
def test_unknown_names_or_none_are_refused_with_those_that_are_known(names: list[str], got: str) -> None:
    with pytest.raises(ValueError, match=f"expected some of naive, replay, aim, .*got {got}"):
        check_strategies(names)
