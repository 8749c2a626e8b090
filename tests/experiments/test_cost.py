"""What a run costs, in cases that can be counted by hand.

Two tasks of 8 examples in batches of 4: plain training passes 16 examples, in 4 iterations.
"""

from dataclasses import replace
from typing import Any

import pytest
import torch
from avalanche.benchmarks import CLScenario
from small_tasks import MOODS, closed_task
from torch import nn

from avalanche_aim import LanguageModel, text_benchmark
from avalanche_aim.experiments import Cost, Key, Settings, cost, run
from avalanche_aim.experiments.cost import CostMeter
from avalanche_aim.text import TextTask

SETTINGS = Settings(batch_size=4, memory=4)
EQUAL_STEPS = Settings(batch_size=4, memory=4, equal="steps")
EQUAL_PASSES = Settings(batch_size=4, memory=4, equal="passes")


@pytest.fixture
def cost_of(llama: LanguageModel, streams: dict[str, CLScenario], hidden: Any) -> Any:
    """Run a strategy and return what it cost."""

    def measure(name: str, settings: Settings = SETTINGS, **options: Any) -> Cost:
        return run(Key(name), llama, streams["tiny"], settings, options=options or None, bar=hidden).cost

    return measure


def test_plain_training_is_the_unit(cost_of: Any) -> None:
    measured = cost_of("naive")
    assert (measured.gradient_passes, measured.other_passes, measured.iterations) == (1.0, 0.0, 4)


def test_epochs_count_on_both_sides(cost_of: Any) -> None:
    measured = cost_of("naive", Settings(batch_size=4, epochs=3))
    assert (measured.gradient_passes, measured.iterations) == (1.0, 12)


def test_replay_passes_a_rehearsal_batch_in_each_iteration_of_a_later_task(cost_of: Any) -> None:
    measured = cost_of("replay")
    assert (measured.gradient_passes, measured.other_passes) == ((8 + 8 + 2 * 4) / 16, 0.0)


def test_merging_monitors_in_each_iteration_and_fine_tunes_as_many_as_passed(cost_of: Any) -> None:
    measured = cost_of("fixed-interval", interval=1)
    assert (measured.gradient_passes, measured.other_passes) == ((16 + 2 * 4) / 16, 2 * 4 / 16)
    assert measured.iterations == 4


def test_a_run_that_never_merges_only_monitors(cost_of: Any) -> None:
    measured = cost_of("fixed-interval", interval=3)
    assert (measured.gradient_passes, measured.other_passes) == (1.0, 0.5)


def test_passes_of_a_copy_of_the_model_count(cost_of: Any) -> None:
    measured = cost_of("lwf")  # its teacher sees the second task
    assert (measured.gradient_passes, measured.other_passes) == (1.0, 8 / 16)


def test_cumulative_passes_the_earlier_tasks_again(cost_of: Any) -> None:
    assert cost_of("cumulative").gradient_passes == (8 + 16) / 16


def test_what_happens_outside_training_does_not_count() -> None:
    model = nn.Linear(3, 2)
    meter = CostMeter(model, "cpu")
    model(torch.zeros(5, 3))
    with meter.training():
        model(torch.zeros(2, 3))
    model(torch.zeros(5, 3))
    assert (meter.cost(2).gradient_passes, meter.cost(2).other_passes) == (1.0, 0.0)


def test_an_error_in_training_ends_the_counting() -> None:
    model = nn.Linear(3, 2)
    meter = CostMeter(model, "cpu")
    with pytest.raises(RuntimeError), meter.training():
        model(torch.zeros(2, 4))
    model(torch.zeros(5, 3))
    assert meter.cost(1).gradient_passes == 0.0


def test_training_is_part_of_the_whole_time(cost_of: Any) -> None:
    measured = cost_of("naive")
    assert 0 < measured.training_minutes < measured.minutes


def test_memory_has_a_peak_where_the_system_tells(cost_of: Any) -> None:
    peak = cost_of("naive").peak_memory_mb
    assert peak is None or peak > 1


def test_memory_is_none_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "Path", lambda path: _Nothing())
    assert CostMeter(nn.Linear(1, 1), "cpu").cost(1).peak_memory_mb is None


class _Nothing:
    """A file that can't be read or written."""

    def read_text(self) -> str:
        raise FileNotFoundError

    def write_text(self, text: str) -> None:
        raise PermissionError


# What is spent on the memory


@pytest.mark.parametrize(
    ("name", "options", "steps", "share"),
    [
        ("naive", {}, 4, 0.0),
        ("replay", {}, 4, 8 / 24),
        ("replay", {"share": 0.2}, 4, 2 / 18),  # one remembered example in each batch of five
        ("mix-replay", {}, 5, 4 / 20),
        ("alternate", {"interval": 1}, 6, 8 / 24),
        ("fixed-interval", {"interval": 1}, 6, 8 / 24),
        ("forever", {"calibration": 1, "spacing": 0.0}, 6, 8 / 24),
        ("magmax", {}, 4, 0.0),
        ("gdumb", {}, 2, 3 / 8),  # four of eight examples, of which three in the second task are the first's
    ],
)
def test_steps_and_the_share_of_remembered_examples_are_counted(
    name: str, options: dict[str, Any], steps: int, share: float, cost_of: Any
) -> None:
    measured = cost_of(name, **options)
    assert measured.optimizer_steps == steps
    assert measured.memory_share == pytest.approx(share)
    assert measured.memory_held == (0 if name in ("naive", "magmax") else 4)


@pytest.mark.parametrize(("name", "held"), [("agem", 4), ("der", 4), ("cumulative", 8), ("mer", 4), ("sure", 4)])
def test_whatever_is_kept_of_past_tasks_counts_as_held(name: str, held: int, cost_of: Any) -> None:
    assert cost_of(name).memory_held == held


@pytest.mark.parametrize("name", ["naive", "replay", "mix-replay", "alternate", "fixed-interval", "mer"])
def test_at_equal_steps_every_strategy_takes_as_many_as_plain_training(name: str, cost_of: Any) -> None:
    options = {"interval": 1} if name in ("alternate", "fixed-interval") else {}
    assert cost_of(name, EQUAL_STEPS, **options).optimizer_steps == 4


@pytest.mark.parametrize(("name", "passes"), [("naive", 1.0), ("replay", 1.0), ("alternate", 1.0), ("mix-replay", 1.0)])
def test_at_equal_passes_every_strategy_passes_as_many_as_plain_training(
    name: str, passes: float, cost_of: Any
) -> None:
    options = {"interval": 1} if name == "alternate" else {}
    assert cost_of(name, EQUAL_PASSES, **options).gradient_passes == passes


def test_what_a_task_takes_too_much_the_next_one_has_less(
    llama: LanguageModel, closed_tasks: list[TextTask], hidden: Any
) -> None:
    more = closed_task("more", MOODS, "Mood", (8, 4, 6))
    stream = text_benchmark([*closed_tasks, more], llama.tokenizer, cache=False)
    settings = replace(EQUAL_STEPS, epochs=4)  # eight steps each; with seven on the memory the second task takes 14
    measured = run(Key("alternate"), llama, stream, settings, options={"interval": 7}, bar=hidden).cost
    assert measured.optimizer_steps == 24
