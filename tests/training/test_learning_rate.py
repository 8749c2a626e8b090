"""A learning rate that warms up and decays over each experience."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from avalanche.training.plugins import ReplayPlugin, SupervisedPlugin

from avalanche_aim import AIMMergingPlugin, GradientStep, LearningRateSchedule
from avalanche_aim.merging import FixedInterval, OncePerTask

Train = Callable[..., Any]
PEAK = 0.01
ITERATIONS = 12


class Steps(torch.optim.SGD):
    """Keeps the rate of every optimizer step."""

    def __init__(self, weights: Any) -> None:
        super().__init__(weights, lr=PEAK)
        self.rates: list[float] = []

    def step(self, *args: Any, **kwargs: Any) -> Any:
        self.rates.append(self.param_groups[0]["lr"])
        return super().step(*args, **kwargs)


class Rates(SupervisedPlugin):
    """Keeps the rate that an iteration is taken at, and the one that its end finds."""

    def __init__(self) -> None:
        super().__init__()
        self.at_start: list[float] = []
        self.at_end: list[float] = []

    def before_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.at_start.append(strategy.optimizer.param_groups[0]["lr"])

    def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.at_end.append(strategy.optimizer.param_groups[0]["lr"])


def rates(train: Train, *plugins: Any, **settings: Any) -> Rates:
    seen = Rates()
    train(*plugins, seen, optimizer=Steps, **settings)
    return seen


def linear(warmup: int, total: int) -> list[float]:
    return [PEAK * (i / warmup if i < warmup else (total - i) / (total - warmup)) for i in range(total)]


@pytest.mark.parametrize("beside", [[], [AIMMergingPlugin]], ids=["alone", "aim"])
def test_the_rate_rises_and_falls_over_each_experience(train: Train, beside: list[Any]) -> None:
    seen = rates(train, LearningRateSchedule("linear", warmup=3), *[plugin(memory=8) for plugin in beside])
    assert seen.at_start == pytest.approx(linear(3, ITERATIONS) * 3)


def test_epochs_and_the_batches_of_replay_count(train: Train) -> None:
    seen = rates(train, LearningRateSchedule("linear"), ReplayPlugin(mem_size=64, batch_size=3), epochs=2)
    first, longer = linear(0, 8), linear(0, 22)
    assert seen.at_start[:30] == pytest.approx([*first, *longer])


@pytest.mark.parametrize(
    ("name", "last"), [("cosine", 0.0), ("constant", PEAK), ("constant_with_warmup", PEAK), ("polynomial", 1e-7)]
)
def test_schedules_are_those_of_transformers(train: Train, name: str, last: float) -> None:
    seen = rates(train, LearningRateSchedule(name, warmup=2))
    assert seen.at_start[:3] == pytest.approx([0.0, PEAK / 2, PEAK])
    assert seen.at_end[ITERATIONS - 1] == pytest.approx(last)


def test_further_settings_are_handed_on(train: Train) -> None:
    seen = rates(train, LearningRateSchedule("cosine_with_min_lr", min_lr_rate=0.5))
    assert seen.at_end[ITERATIONS - 1] == pytest.approx(PEAK / 2)


@pytest.mark.parametrize("listed", ["first", "last"])
def test_a_merge_finds_the_rate_of_the_next_iteration(train: Train, listed: str) -> None:
    plugins = [LearningRateSchedule("linear"), AIMMergingPlugin("paper", schedule=FixedInterval(4), memory=8)]
    strategy = train(*(plugins if listed == "first" else plugins[::-1]), optimizer=Steps)
    plan = [*linear(0, ITERATIONS), 0.0]
    # Of every eight steps of the second experience four are training's, at the plan, and four the memory's.
    steps = strategy.optimizer.rates[ITERATIONS : ITERATIONS + 24]
    for number in range(3):
        training, memory = steps[8 * number : 8 * number + 4], steps[8 * number + 4 : 8 * number + 8]
        assert training == pytest.approx(plan[4 * number : 4 * number + 4])
        assert memory == pytest.approx([plan[4 * number + 4]] * 4)


@pytest.mark.parametrize("listed", ["first", "last"])
def test_a_merge_at_the_end_takes_place_at_the_peak(train: Train, listed: str) -> None:
    plugins = [LearningRateSchedule("linear"), AIMMergingPlugin("paper", schedule=OncePerTask(), memory=8)]
    strategy = train(*(plugins if listed == "first" else plugins[::-1]), optimizer=Steps)
    assert strategy.optimizer.rates[2 * ITERATIONS : 3 * ITERATIONS] == [PEAK] * ITERATIONS


def test_the_peak_is_put_back_and_may_be_changed_between_experiences(train: Train, three_tasks: Any) -> None:
    seen = Rates()
    strategy = train(LearningRateSchedule("linear"), seen, optimizer=Steps, stream=three_tasks.train_stream[:1])
    (group,) = strategy.optimizer.param_groups
    assert group["lr"] == PEAK
    group["lr"] = 0.5
    strategy.train(three_tasks.train_stream[1])
    assert seen.at_start[ITERATIONS] == 0.5
    assert group["lr"] == 0.5


@pytest.mark.parametrize("how", ["stop", "error"])
def test_the_peak_is_put_back_where_training_breaks_off(train: Train, three_tasks: Any, how: str) -> None:
    class Break(SupervisedPlugin):
        def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
            if (strategy.experience.current_experience, strategy.clock.train_exp_iterations) == (1, 5):
                if how == "error":
                    raise RuntimeError("out of memory")
                strategy.stop_training()

    seen, first, second, third = Rates(), *three_tasks.train_stream
    strategy = train(LearningRateSchedule("linear"), Break(), seen, optimizer=Steps, stream=[first])
    with pytest.raises(RuntimeError, match="out of memory") if how == "error" else nullcontext():
        strategy.train(second)
    done = len(seen.at_start)
    strategy.train(third)
    assert seen.at_start[done:] == pytest.approx(linear(0, ITERATIONS))


def test_a_constant_rate_trains_bit_for_bit_as_without_it(train: Train, same: Any) -> None:
    scheduled = train(LearningRateSchedule("constant"), AIMMergingPlugin("paper", memory=8))
    plain = train(AIMMergingPlugin("paper", memory=8))
    assert same(scheduled.model.state_dict(), plain.model.state_dict())
    assert same(scheduled.optimizer.state_dict(), plain.optimizer.state_dict())


def test_micro_batches_do_not_count(train: Train) -> None:
    whole = rates(train, LearningRateSchedule("cosine", 2))
    parts = rates(train, GradientStep(4), LearningRateSchedule("cosine", 2))
    assert parts.at_start == whole.at_start


@pytest.mark.parametrize("name", ["linaer", "reduce_lr_on_plateau"])
def test_an_unknown_schedule_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match=f"schedule: expected one of constant, .*linear.*, got '{name}'"):
        LearningRateSchedule(name)


def test_a_negative_warm_up_is_refused() -> None:
    with pytest.raises(ValueError, match="warmup: expected 0 or more iterations, got -1"):
        LearningRateSchedule(warmup=-1)
