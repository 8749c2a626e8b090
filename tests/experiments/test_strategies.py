"""Named strategies: what each adds to plain training, and that each trains."""

import importlib.util
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any

import pytest
import torch
from avalanche.benchmarks import CLScenario
from avalanche.training import EWC
from avalanche.training.plugins import EWCPlugin, ReplayPlugin, SupervisedPlugin
from merging_names import MERGING

from avalanche_aim import AIMMergingPlugin, LanguageModel, RehearsalMemory, text_benchmark
from avalanche_aim.experiments import (
    STRATEGIES,
    Budget,
    Configuration,
    Key,
    Result,
    Settings,
    Strategy,
    run,
    strategies,
)
from avalanche_aim.experiments.strategies import check_strategies
from avalanche_aim.merging import (
    AdaptiveInterval,
    FixedInterval,
    FixedWeights,
    OncePerTask,
    RandomInterval,
    ReferenceInterval,
    SharesOfTask,
)
from avalanche_aim.text import TextTask

REHEARSING = ("replay", *MERGING)
RIVALS_THAT_MERGE = ("alternate", "mer", "forever")
MERGING_ALIKE = MERGING[1:]
"""They differ from AIM in their settings alone."""
SEQ2SEQ = ("naive", "replay", "ewc", "lwf", "der", "mir", "joint", "aim")
"""Strategies of each kind, for the second kind of model."""
OWN_BUFFER = ("gdumb", "der", "er-ace", "mir")
SETTINGS = Settings(batch_size=4, learning_rate=1e-2, memory=3)
BUDGET = Budget(memory=7, seed=0, batch_size=4, sizes=(40, 20, 30))


class Keeper(SupervisedPlugin):
    """Keeps the strategy."""

    def before_training(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.strategy = strategy


@pytest.fixture
def trained_by(
    tiny_models: dict[str, LanguageModel],
    streams: dict[str, CLScenario],
    hidden: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., tuple[Result, Any]]:
    """Run a strategy, with fields of it replaced, and return the result and the Avalanche strategy."""

    def train(
        name: str,
        kind: str = "tiny",
        settings: Settings = SETTINGS,
        options: dict[str, Any] | None = None,
        **changes: Any,
    ) -> tuple[Result, Any]:
        if name == "gem" and importlib.util.find_spec("quadprog") is None:
            pytest.skip("GEM needs quadprog, which is not installed")
        chosen, keeper = STRATEGIES[name], Keeper()

        def arguments(budget: Budget) -> dict[str, Any]:
            made = chosen.arguments(budget, **(options or {}))
            return {**made, "plugins": [*made.get("plugins", []), keeper]}

        monkeypatch.setitem(STRATEGIES, name, replace(chosen, arguments=arguments, **changes))
        result = run(Key(name), tiny_models[kind], streams[kind], settings, bar=hidden)
        return result, keeper.strategy

    return train


def plugins_of(name: str, budget: Budget = BUDGET, **options: Any) -> list[Any]:
    return STRATEGIES[name].arguments(budget, **options).get("plugins", [])


def memory_of(plugin: Any) -> RehearsalMemory:
    return plugin.storage_policy if isinstance(plugin, ReplayPlugin) else plugin.memory


def finite(strategy: Any) -> bool:
    return all(bool(torch.isfinite(weight).all()) for weight in strategy.model.parameters())


# Training


@pytest.mark.parametrize(
    ("name", "kind"), [*((name, "tiny") for name in STRATEGIES), *((name, "tiny-t5") for name in SEQ2SEQ)]
)
def test_every_strategy_trains_a_model_to_a_full_result(
    name: str, kind: str, trained_by: Callable[..., Any], tiny_models: dict[str, LanguageModel]
) -> None:
    result, strategy = trained_by(name, kind)
    assert result.tasks == ["moods", "topics"]
    assert [len(row) for row in result.r] == ([0, 2] if name == "joint" else [1, 2])
    assert all(0 <= score <= 100 for row in result.r for score in row)
    assert all(0 <= score <= 100 for score in result.label_accuracy)
    assert len(result.label_accuracy) == 2
    assert result.cost.iterations > 0
    assert (result.merges is not None) == (name in (*MERGING, *RIVALS_THAT_MERGE, "averaging", "aim-self-written"))
    assert finite(strategy)
    assert not all(map(torch.equal, strategy.model.parameters(), tiny_models[kind].parameters()))


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name not in MERGING_ALIKE])
def test_all_labels_are_scored_for_the_strategies_that_read_them_and_no_others(
    name: str, trained_by: Callable[..., Any]
) -> None:
    needed = STRATEGIES[name].all_labels
    settings = replace(SETTINGS, batch_size=2, memory=8)  # so that MIR rehearses: see its test below
    try:
        sound = finite(trained_by(name, settings=settings, all_labels=False)[1])
    except ValueError as error:
        assert "score_all_labels" in str(error)
        sound = False
    assert sound is not needed


def test_joint_training_has_an_overall_performance_and_no_transfer(trained_by: Callable[..., Any]) -> None:
    result, _ = trained_by("joint")
    assert result.metrics == {"OP": pytest.approx(sum(result.r[-1]) / 2)}


def test_maximally_interfered_retrieval_rehearses(trained_by: Callable[..., Any]) -> None:
    # Avalanche leaves the classes of a task's last batch out; at least more than a batch must remain.
    result, _ = trained_by("mir", settings=replace(SETTINGS, batch_size=2, memory=8))
    assert result.cost.gradient_passes == (8 + 2 * 8) / 16


@pytest.mark.parametrize("name", ["der", "er-ace"])
def test_a_buffer_smaller_than_a_batch_is_rehearsed_all_the_same(name: str, trained_by: Callable[..., Any]) -> None:
    result, _ = trained_by(name, settings=replace(SETTINGS, batch_size=8, memory=3))
    assert result.cost.gradient_passes == (8 + 8 + 3) / 16


# Memory


@pytest.mark.parametrize("name", REHEARSING)
def test_a_rehearsing_strategy_has_the_memory_asked_for(name: str) -> None:
    plugins = plugins_of(name)
    assert [type(plugin) for plugin in plugins] == {
        "replay": [ReplayPlugin],
        "aim-replay": [ReplayPlugin, AIMMergingPlugin],
    }.get(name, [AIMMergingPlugin])
    assert memory_of(plugins[0]).size == 7


@pytest.mark.parametrize("name", REHEARSING)
def test_each_run_has_a_plugin_and_a_memory_of_its_own(name: str) -> None:
    one, other = plugins_of(name)[-1], plugins_of(name)[-1]
    assert one is not other
    assert memory_of(one) is not memory_of(other)


def test_merging_beside_replay_shares_its_memory() -> None:
    replay, aim = plugins_of("aim-replay")
    assert memory_of(replay) is memory_of(aim)


@pytest.mark.parametrize("options", [{"preset": "held-out"}, {"rehearsal": {"hold_out": 0.25}}])
def test_replay_never_trains_on_rows_that_are_held_out(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="options of aim-replay: expected a rehearsal without rows that are held out"):
        check_strategies(["aim-replay"], {"aim-replay": options})


@pytest.mark.parametrize("other", ["aim", "aim-reference", "aim-replay"])
def test_replay_and_merging_rehearse_the_same_examples(
    other: str, llama: LanguageModel, tasks: list[TextTask], strategy_of: Callable[..., Any]
) -> None:
    benchmark = text_benchmark(tasks, llama.tokenizer)
    selected = []
    for name in ("replay", other):
        plugins = plugins_of(name, replace(BUDGET, memory=3, seed=5))
        strategy = strategy_of(deepcopy(llama), plugins=plugins)
        for experience in benchmark.train_stream:
            strategy.train(experience)
        selected.append(memory_of(plugins[-1]).selected)
    assert selected[0] == selected[1]
    assert [len(rows) for rows in selected[0]] == [3, 3, 3]


def test_another_seed_rehearses_other_examples(
    llama: LanguageModel, closed_tasks: list[TextTask], strategy_of: Callable[..., Any]
) -> None:
    benchmark = text_benchmark(closed_tasks, llama.tokenizer)
    selected = []
    for seed in (0, 1):
        plugins = plugins_of("replay", replace(BUDGET, memory=3, seed=seed))
        strategy_of(deepcopy(llama), plugins=plugins).train(benchmark.train_stream[0])
        selected.append(memory_of(plugins[0]).selected)
    assert selected[0] != selected[1]


@pytest.mark.parametrize("name", OWN_BUFFER)
def test_a_buffer_holds_as_many_examples_as_the_memory_of_the_past_tasks(
    name: str, trained_by: Callable[..., Any]
) -> None:
    _, strategy = trained_by(name)
    owners = [strategy, *strategy.plugins]
    (buffer,) = [owner.storage_policy for owner in owners if hasattr(owner, "storage_policy")]
    assert len(buffer.buffer) == 3


def test_gradient_memories_hold_as_many_examples_of_each_task(trained_by: Callable[..., Any]) -> None:
    _, agem = trained_by("agem")
    (plugin,) = [plugin for plugin in agem.plugins if hasattr(plugin, "buffers")]
    assert [len(buffer) for buffer in plugin.buffers] == [3, 3]
    _, gem = trained_by("gem")
    (plugin,) = [plugin for plugin in gem.plugins if hasattr(plugin, "memory_x")]
    assert [len(examples) for examples in plugin.memory_x.values()] == [3, 3]


@pytest.mark.parametrize(
    ("memory", "per_task", "total"), [(7, 7, 14), (25, 25, 45), (0.1, 4, 6), (0.02, 0, 0), (0, 0, 0), (1.0, 40, 60)]
)
def test_a_budget_counts_what_the_memory_holds(memory: float | int, per_task: int, total: int) -> None:
    budget = replace(BUDGET, memory=memory)  # of tasks of 40, 20 and 30 examples
    assert (budget.per_task, budget.total) == (per_task, total)


def test_a_gradient_sample_has_an_example_of_every_past_task() -> None:
    arguments = STRATEGIES["agem"].arguments(replace(BUDGET, batch_size=8, sizes=(100,) * 15))
    assert arguments["sample_size"] // 14 >= 1


# Options


@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        ("aim", SharesOfTask),
        ("aim-paper", AdaptiveInterval),
        ("aim-reference", ReferenceInterval),
        ("aim-replay", SharesOfTask),
        ("fixed-interval", FixedInterval),
        ("random-interval", RandomInterval),
        ("single-merge", OncePerTask),
    ],
)
def test_merging_strategies_differ_in_when_they_merge(name: str, schedule: type) -> None:
    assert type(plugins_of(name)[-1].controller.schedule) is schedule


@pytest.mark.parametrize("name", MERGING)
def test_options_of_a_merging_strategy_reach_the_plugin(name: str) -> None:
    assert plugins_of(name, learning={"window": 9})[-1].controller.learning.window == 9


def test_the_intervals_of_the_controls_are_options() -> None:
    assert plugins_of("fixed-interval", interval=3)[0].controller.schedule.interval == 3
    assert plugins_of("random-interval", mean=5)[0].controller.schedule.mean == 5


def test_averaging_is_a_merge_at_the_end_without_a_memory() -> None:
    (plugin,) = plugins_of("averaging")
    assert plugin.memory is None and plugin.rehearsal is None
    assert (plugin.controller.schedule.merges_at_end, plugin.controller.weights) == (True, FixedWeights(0.5, 0.5))


def test_options_reach_the_template(trained_by: Callable[..., Any]) -> None:
    _, strategy = trained_by("ewc", options={"ewc_lambda": 10.0})
    assert [plugin.ewc_lambda for plugin in strategy.plugins if isinstance(plugin, EWCPlugin)] == [10.0]


def test_options_win_over_what_follows_from_the_budget() -> None:
    assert STRATEGIES["der"].arguments(BUDGET, mem_size=5)["mem_size"] == 5


@pytest.mark.parametrize(
    ("name", "option", "expected"),
    [
        ("ewc", "lambda", "expected some of ewc_lambda, mode, decay_factor"),
        ("aim", "windw", "expected some of preset, memory, schedule, learning, .*seed"),
        ("fixed-interval", "n", "expected some of interval, preset"),
        ("naive", "memory", "expected none"),
        ("replay", "mem_size", "expected some of share"),
        ("averaging", "weight", "expected some of preset, memory, schedule"),
        ("ewc", "train_epochs", "expected some of ewc_lambda"),
        ("der", "eval_every", "expected some of mem_size, batch_size_mem, alpha, beta"),
        ("aim", "plugins", "expected some of preset"),
    ],
)
def test_an_unknown_option_is_refused_with_those_there_are(name: str, option: str, expected: str) -> None:
    with pytest.raises(ValueError, match=f"options of {name}: {expected}.*; got {option}"):
        check_strategies([name], {name: {option: 1}})


def test_a_value_that_a_plugin_refuses_is_told_with_the_strategy() -> None:
    with pytest.raises(ValueError, match="options of aim: window: expected at least 2"):
        check_strategies(["aim"], {"aim": {"learning": {"window": 0}}})


def test_options_of_a_strategy_that_is_not_compared_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a strategy of the comparison \(naive, aim\), got 'ewc'"):
        check_strategies(["naive", "aim"], {"ewc": {}})


# Names


def test_unknown_names_are_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"expected some of naive, replay, .*aim, .*got aimm, er"):
        check_strategies(["naive", "aimm", "er"])


def test_a_strategy_of_ones_own_is_one_more_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STRATEGIES, "strong-ewc", Strategy(EWC, lambda budget, **o: {"ewc_lambda": 100.0, **o}))
    check_strategies(["strong-ewc"], {"strong-ewc": {"mode": "online"}})


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Offer what is named as the strategy ``other`` of an installed package."""

    def offer(value: str) -> None:
        strategies._installed.cache_clear()
        point = EntryPoint("other", value, strategies.ENTRY_POINTS)
        monkeypatch.setattr(strategies, "entry_points", lambda group: [point] if group == point.group else [])
        monkeypatch.setattr(strategies, "STRATEGIES", dict(STRATEGIES))

    yield offer
    strategies._installed.cache_clear()


OTHER = Strategy(EWC, lambda budget, **options: {"ewc_lambda": 7.0, **options})


def test_a_strategy_of_an_installed_package_is_found_by_name(installed: Callable[[str], None]) -> None:
    installed("test_strategies:OTHER")
    assert "other" in strategies.strategy_names()
    check_strategies(["naive", "other"], {"other": {"ewc_lambda": 2.0}})
    assert strategies.strategy("other") is OTHER


@pytest.mark.parametrize(
    ("value", "message"),
    [("no_such_package:x", "other of no_such_package:x can't be loaded"), ("math:pi", "math:pi to be a Strategy")],
)
def test_an_entry_point_without_a_strategy_is_refused_only_where_it_is_asked_for(
    value: str, message: str, installed: Callable[[str], None]
) -> None:
    installed(value)
    Configuration(strategies=("naive",))
    with pytest.raises(ValueError, match=message):
        Configuration(strategies=("other",))


def test_an_option_of_an_earlier_version_is_refused_with_that_version() -> None:
    with pytest.raises(ValueError, match=r"got window; CHANGELOG.md says what became of those of avalanche-aim 0.1.0"):
        check_strategies(["aim"], {"aim": {"window": 7}})


@pytest.mark.parametrize("name", STRATEGIES)
def test_each_strategy_says_where_it_is_described(name: str) -> None:
    assert STRATEGIES[name].source
