"""Settings of the training loop that all strategies of a comparison share."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from avalanche.training.plugins import SupervisedPlugin
from merging_names import MERGING

from avalanche_aim import GradientStep, LanguageModel, LearningRateSchedule, text_benchmark
from avalanche_aim.cli.run import Parser
from avalanche_aim.experiments import STRATEGIES, Configuration, Key, Settings, run, single_task_scores
from avalanche_aim.experiments.models import LanguageModels
from avalanche_aim.experiments.single_task import common_key

Trained = tuple[LanguageModel, Any]
SETTINGS = Settings(batch_size=4, eval_batch_size=5, learning_rate=1e-3, memory=4)
EVERYTHING = replace(SETTINGS, epochs=2, micro_batch_size=3, max_grad_norm=1.0, schedule="linear", warmup=2)
IN_PARTS = [name for name, strategy in STRATEGIES.items() if not strategy.whole_batch]


class Spy(SupervisedPlugin):
    """Keeps the strategy, and the rates of its iterations."""

    def __init__(self) -> None:
        super().__init__()
        self.strategy: Any = None
        self.rates: list[float] = []

    def before_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.strategy = strategy
        self.rates.append(strategy.optimizer.param_groups[0]["lr"])


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Spy]:
    """Add a spy to a strategy."""

    def add(name: str) -> Spy:
        spy, chosen = Spy(), STRATEGIES[name]

        def arguments(budget: Any, **options: Any) -> dict[str, Any]:
            made = chosen.arguments(budget, **options)
            return {**made, "plugins": [*made.get("plugins", []), spy]}

        monkeypatch.setitem(STRATEGIES, name, replace(chosen, arguments=arguments))
        return spy

    return add


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in IN_PARTS if name == "aim" or name not in MERGING])
def test_every_strategy_trains_with_all_of_them(name: str, llama: LanguageModel, closed_tasks: Any, spied: Any) -> None:
    if name == "gem":
        pytest.importorskip("quadprog")
    llama.autocast, spy = torch.float16, spied(name)
    result = run(Key(name), llama, text_benchmark(closed_tasks, llama.tokenizer), EVERYTHING)
    assert len(result.r) == 2
    assert all(bool(p.isfinite().all()) for p in spy.strategy.model.parameters())
    step = GradientStep.of(spy.strategy)
    assert (step.micro_batch_size, step.max_grad_norm, step.scaler.is_enabled()) == (3, 1.0, True)
    assert spy.rates[:2] == pytest.approx([0.0, 0.5e-3])


@pytest.mark.parametrize("name", ["aim", "ewc", "agem"])
def test_micro_batches_give_the_result_of_the_whole_batch(
    name: str, trained_llama: Trained, without_dropout: Any
) -> None:
    model, benchmark = trained_llama
    without_dropout(model)
    whole, parts = (run(Key(name), model, benchmark, s) for s in (SETTINGS, replace(SETTINGS, micro_batch_size=1)))
    assert parts.r == whole.r
    assert parts.merges == whole.merges
    if whole.history is not None:
        losses = [[i.training_loss for i in result.history.iterations] for result in (whole, parts)]  # type: ignore
        assert losses[1] == pytest.approx(losses[0], rel=1e-3)


def test_by_default_the_rate_is_constant_and_nothing_is_cut_clipped_or_scaled(
    trained_llama: Trained, spied: Any
) -> None:
    spy = spied("naive")
    run(Key("naive"), *trained_llama, SETTINGS)
    step = GradientStep.of(spy.strategy)
    assert (step.micro_batch_size, step.max_grad_norm, step.scaler.is_enabled()) == (None, float("inf"), False)
    assert set(spy.rates) == {SETTINGS.learning_rate}


def test_single_task_references_are_trained_with_the_same_settings(
    trained_llama: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, benchmark = trained_llama
    seen: list[tuple[Any, Any]] = []
    watched = LearningRateSchedule.before_training_epoch

    def watch(plugin: Any, strategy: Any, *args: Any, **kwargs: Any) -> None:
        seen.append((plugin.name, GradientStep.of(strategy).micro_batch_size))
        watched(plugin, strategy, *args, **kwargs)

    monkeypatch.setattr(LearningRateSchedule, "before_training_epoch", watch)
    single_task_scores(model, benchmark, EVERYTHING, cache=False, progress=False)
    assert seen == [("linear", 3)] * 4
    assert common_key(model, EVERYTHING, 0) != common_key(model, SETTINGS, 0)


def test_each_is_an_argument_of_the_command_line(tmp_path: Path) -> None:
    flags = "--micro-batch-size 2 --max-grad-norm 0.5 --schedule cosine --warmup 5 --gradient-checkpointing"
    settings, _ = Parser("").configured([*flags.split(), "--precision", "fp16", "--model", "tiny"])
    assert (settings.micro_batch_size, settings.max_grad_norm, settings.schedule, settings.warmup) == (
        2,
        0.5,
        "cosine",
        5,
    )
    model = LanguageModels(settings).model(0)
    assert model.autocast is torch.float16
    assert model.language_model.is_gradient_checkpointing


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"micro_batch_size": 0}, "micro_batch_size: expected an integer of 1 or more or none, got 0"),
        ({"max_grad_norm": 0}, "max_grad_norm: expected a positive number or none, got 0"),
        ({"max_grad_norm": "big"}, "max_grad_norm: expected a positive number or none, got 'big'"),
        ({"schedule": "linaer"}, "schedule: expected one of constant, .*got 'linaer'"),
        ({"warmup": -1}, "warmup: expected an integer of 0 or more, got -1"),
        ({"warmup": 0.5}, "warmup: expected an integer of 0 or more, got 0.5"),
        ({"gradient_checkpointing": "yes"}, "gradient_checkpointing: expected true or false, got 'yes'"),
        ({"precision": "fp8"}, "precision: expected one of bf16, fp16, fp32, got 'fp8'"),
    ],
)
def test_a_value_out_of_range_is_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Configuration(**setting)


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name not in IN_PARTS])
def test_a_strategy_that_reads_the_whole_batch_is_refused_in_micro_batches(name: str) -> None:
    with pytest.raises(ValueError, match=f"strategies that can be trained in micro-batches, got {name}"):
        Configuration(strategies=("naive", name), micro_batch_size=2)
