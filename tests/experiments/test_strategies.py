"""Named strategies: what each adds to plain training, and that each trains."""

import importlib.util
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from avalanche.benchmarks import CLScenario
from avalanche.training.plugins import EWCPlugin, ReplayPlugin, SupervisedPlugin
from merging_names import BUDGET, MERGING, plugins_of

from avalanche_aim import AIMMergingPlugin, LanguageModel, RehearsalMemory, text_benchmark
from avalanche_aim.experiments import (
    STRATEGIES,
    Budget,
    Key,
    Result,
    Settings,
    run,
)
from avalanche_aim.experiments.strategies import check_strategies
from avalanche_aim.text import TextTask

REHEARSING = ("replay", *MERGING)
RIVALS_THAT_MERGE = ("alternate", "mer", "forever")
MERGING_ALIKE = MERGING[1:]
"""They differ from AIM in their settings alone."""
SEQ2SEQ = ("naive", "replay", "ewc", "lwf", "der", "mir", "joint", "aim")
"""Strategies of each kind, for the second kind of model."""
OWN_BUFFER = ("gdumb", "der", "er-ace", "mir")
SETTINGS = Settings(batch_size=4, learning_rate=1e-2, memory=3)


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


def test_options_reach_the_template(trained_by: Callable[..., Any]) -> None:
    _, strategy = trained_by("ewc", options={"ewc_lambda": 10.0})
    assert [plugin.ewc_lambda for plugin in strategy.plugins if isinstance(plugin, EWCPlugin)] == [10.0]
