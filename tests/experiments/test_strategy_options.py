"""Options of named strategies, and the names themselves."""

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint

import pytest
from avalanche.training import EWC
from merging_names import BUDGET, MERGING, plugins_of

from avalanche_aim.experiments import STRATEGIES, Configuration, Strategy, strategies
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
    installed("test_strategy_options:OTHER")
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
