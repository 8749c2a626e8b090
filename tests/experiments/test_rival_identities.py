"""Rivals that differ from one another in one setting are the same where that setting is off, to the bit."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from avalanche_aim import AIMMergingPlugin, RehearsalMemory
from avalanche_aim.experiments.rivals import named

Train = Callable[..., Any]
REHEARSING = ("replay", "mix_replay", "alternate", "mer", "ema_replay", "sure", "forever", "wsc")


def budget(memory: float | int = 4) -> Any:
    return SimpleNamespace(
        batch_size=8, seed=3, rehearsal=lambda kind=RehearsalMemory: kind(memory, 3), sizes=(32, 32, 32)
    )


@pytest.fixture
def trained(train: Train) -> Callable[..., list[torch.Tensor]]:
    """Train with the plugins of a rival; returns what an evaluation would see."""

    def run(name: str = "", memory: float | int = 4, **options: Any) -> list[torch.Tensor]:
        plugins = getattr(named, name)(budget(memory), **options)["plugins"] if name else []
        strategy = train(*plugins)
        for plugin in plugins:
            plugin.before_eval(strategy)
        return [weight.detach().clone() for weight in strategy.model.state_dict().values()]

    return run


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(map(torch.equal, one, other))


@pytest.mark.parametrize("name", REHEARSING)
@pytest.mark.filterwarnings("ignore:.*the memory is empty")
def test_with_an_empty_memory_every_rival_is_naive(name: str, trained: Train) -> None:
    assert equal(trained(name, memory=0), trained())


@pytest.mark.parametrize("name", REHEARSING)
def test_with_a_memory_no_rival_is_naive(name: str, trained: Train) -> None:
    options = {"calibration": 4} if name == "forever" else {}  # a task has 12 iterations
    assert not equal(trained(name, **options), trained())


def test_mer_that_undoes_nothing_is_replay(trained: Train) -> None:
    assert equal(trained("mer", epsilon=1.0, share=0.25), trained("replay", share=0.25))
    assert not equal(trained("mer", epsilon=0.5, share=0.25), trained("replay", share=0.25))


def test_slow_weights_without_inertia_are_those_of_replay(trained: Train) -> None:
    assert equal(trained("ema_replay", decay=0.0), trained("replay"))
    assert not equal(trained("ema_replay", decay=0.5), trained("replay"))


def test_sure_without_its_parts_is_slow_replay(trained: Train) -> None:
    assert equal(trained("sure", every=1, surprise=False), trained("ema_replay"))
    assert not equal(trained("sure", every=2, surprise=False), trained("ema_replay"))
    assert not equal(trained("sure", every=1, surprise=True), trained("ema_replay"))


def test_forever_without_penalty_and_with_a_day_in_every_iteration_is_alternation(trained: Train) -> None:
    forever = trained("forever", strength=0.0, calibration=1, spacing=0.0)
    assert equal(forever, trained("alternate", interval=1))
    assert not equal(trained("forever", strength=1.0, calibration=1, spacing=0.0), forever)


def test_merging_with_full_coefficients_at_a_fixed_interval_is_alternation(trained: Train, train: Train) -> None:
    aim = AIMMergingPlugin(
        "paper",
        memory=RehearsalMemory(4, 3),
        schedule={"name": "fixed", "n": 4},
        weights={"name": "fixed", "new": 1.0, "past": 1.0},
        seed=3,
    )
    merged = [weight.detach() for weight in train(aim).model.state_dict().values()]
    assert equal(merged, trained("alternate", interval=4))
    assert not equal(merged, trained("alternate", interval=3))


@pytest.mark.parametrize(("share", "extra"), [(0.5, 8), (0.25, 3), (1 / 9, 1), (0.01, 1)])
def test_a_share_is_that_of_the_memory_in_a_batch(share: float, extra: int) -> None:
    assert named.remembered(8, share) == extra


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("replay", {"share": 0.0}, "share: expected"),
        ("replay", {"share": 1.0}, "share: expected"),
        ("replay", {"share": "half"}, "share: expected"),
        ("mer", {"share": 2}, "share: expected"),
        ("mer", {"epsilon": 0.0}, "epsilon: expected"),
        ("mer", {"interval": 0}, "interval: expected"),
        ("ema_replay", {"decay": 1.0}, "decay: expected"),
        ("sure", {"every": 0}, "every: expected"),
        ("forever", {"strength": -1.0}, "strength and gamma: expected"),
        ("forever", {"calibration": 0}, "calibration: expected"),
        ("forever", {"spacing": -1.0}, "spacing: expected"),
        ("forever", {"iterations": 0}, "iterations: expected"),
        ("wsc", {"warmup": 1.0}, "warmup: expected"),
        ("wsc", {"retain": 0.0}, "retain: expected"),
        ("magmax", {"scale": 0.0}, "scale: expected"),
    ],
)
def test_a_setting_out_of_range_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(named, name)(budget(), **options)
