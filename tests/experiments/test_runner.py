"""Train one strategy on one stream and measure it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from avalanche.training.plugins import SupervisedPlugin
from torch import Tensor

from avalanche_aim import LanguageModel
from avalanche_aim.experiments import STRATEGIES, Result, Settings, run
from avalanche_aim.text import generate

Trained = tuple[LanguageModel, Any]
SETTINGS = Settings(batch_size=4, eval_batch_size=5, learning_rate=1e-4, memory=4)
STANDING_STILL = replace(SETTINGS, learning_rate=1e-12)


def measured(result: Result) -> tuple[Any, ...]:
    """Return everything of a result but the time it took."""
    losses = [(record.training_loss, record.historical_loss) for record in getattr(result.history, "iterations", [])]
    return result.r, result.metrics, result.label_accuracy, result.merges, losses


@pytest.mark.parametrize("name", ["naive", "replay", "aim"])
def test_the_same_seed_gives_the_same_result(name: str, trained_llama: Trained) -> None:
    first, second = (run(name, *trained_llama, SETTINGS, progress=False) for _ in range(2))
    assert any(score for row in first.r for score in row)
    assert measured(first) == measured(second)


def test_another_seed_gives_another_run(trained_llama: Trained) -> None:
    runs = [run("aim", *trained_llama, replace(SETTINGS, seed=seed), progress=False) for seed in (0, 1)]
    assert measured(runs[0])[-1] != measured(runs[1])[-1]


@pytest.mark.parametrize("stream", ["test", "dev"])
def test_r_is_the_share_of_right_greedy_answers_in_percent_on_the_stream_asked_for(
    stream: str, trained_llama: Trained, rows: Callable[..., Tensor]
) -> None:
    model, benchmark = trained_llama
    expected = []
    for experience in benchmark.streams[stream]:
        answers = generate(model, rows(experience), 16)
        right = [text == e.answer for text, e in zip(answers, experience.task.split(stream), strict=True)]
        expected.append(100.0 * sum(right) / len(right))
    result = run("naive", model, benchmark, replace(STANDING_STILL, stream=stream), progress=False)
    assert result.r == [[pytest.approx(expected[0])], pytest.approx(expected)]
    assert len(set(expected)) == 2


class Spy(SupervisedPlugin):
    """Keeps the sizes of the batches, and after each task the optimizer's settings and steps."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []
        self.optimizers: list[tuple[type, float, float]] = []
        self.steps: list[int] = []

    def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.batches.append(len(strategy.mb_y))

    def after_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        (group,) = strategy.optimizer.param_groups
        self.optimizers.append((type(strategy.optimizer), group["lr"], group["weight_decay"]))
        self.steps += {int(state["step"]) for state in strategy.optimizer.state.values()}


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    """Add a strategy "spy", which is naive and watched."""
    plugin = Spy()
    monkeypatch.setitem(STRATEGIES, "spy", lambda memory, seed: [plugin])
    return plugin


def test_the_optimizer_is_adamw_without_decay(trained_llama: Trained, spy: Spy) -> None:
    run("spy", *trained_llama, SETTINGS, progress=False)
    assert set(spy.optimizers) == {(torch.optim.AdamW, SETTINGS.learning_rate, 0.0)}


def test_the_optimizer_starts_anew_in_each_task(trained_llama: Trained, spy: Spy) -> None:
    run("spy", *trained_llama, replace(SETTINGS, epochs=2), progress=False)
    assert spy.steps == [2 * 6, 2 * 4]  # 24 and 16 examples by fours


def test_an_iteration_has_as_many_examples_as_asked_for(trained_llama: Trained, spy: Spy) -> None:
    run("spy", *trained_llama, replace(SETTINGS, batch_size=6), progress=False)
    assert spy.batches == [6] * 4 + [6, 6, 4]  # 24 and 16 examples


def test_only_the_tasks_seen_so_far_are_evaluated(trained_llama: Trained) -> None:
    result = run("naive", *trained_llama, STANDING_STILL, progress=False)
    assert [len(row) for row in result.r] == [1, 2]


def test_the_numbers_follow_from_r(trained_llama: Trained) -> None:
    result = run("naive", *trained_llama, replace(SETTINGS, learning_rate=1e-2), progress=False)
    assert result.r[1][0] < result.r[0][0]
    assert result.metrics["OP"] == pytest.approx(sum(result.r[1]) / 2)
    assert result.metrics["BWT"] == pytest.approx(result.r[1][0] - result.r[0][0])


def test_label_accuracy_is_in_percent(trained_llama: Trained, own_loss: Callable[..., Tensor]) -> None:
    model, benchmark = trained_llama
    moods = benchmark.test_stream[0].task
    right = 0
    for example in moods.test:
        losses = {label: float(own_loss(model, example.prompt, label)) for label in moods.labels}
        right += min(losses, key=losses.__getitem__) == example.answer
    result = run("naive", model, benchmark, STANDING_STILL, progress=False)
    assert result.label_accuracy[0] == pytest.approx(100.0 * right / len(moods.test))


def test_an_open_task_has_no_label_accuracy(trained_llama: Trained) -> None:
    assert len(run("naive", *trained_llama, STANDING_STILL, progress=False).label_accuracy) == 1


def test_a_result_says_what_ran(trained_llama: Trained) -> None:
    result = run("replay", *trained_llama, replace(SETTINGS, seed=3), progress=False)
    assert (result.strategy, result.seed, result.tasks) == ("replay", 3, ["moods", "names"])
    assert 0 < result.training_minutes < result.minutes


def test_only_merging_has_merges_and_a_history(trained_llama: Trained) -> None:
    replay, aim = (run(name, *trained_llama, SETTINGS, progress=False) for name in ("replay", "aim"))
    assert (replay.merges, replay.history) == (None, None)
    assert aim.history is not None
    assert aim.history.iterations
    assert aim.merges == len(aim.history.merges)


@pytest.mark.parametrize("name", ["naive", "aim"])
def test_the_model_stays_as_it_was(name: str, trained_llama: Trained) -> None:
    model, benchmark = trained_llama
    before = {key: value.clone() for key, value in model.state_dict().items()}
    run(name, model, benchmark, SETTINGS, progress=False)
    assert not model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_showing_progress_changes_nothing_and_ends_complete(
    trained_llama: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = run("aim", *trained_llama, replace(SETTINGS, epochs=2))
    assert "aim, seed 0: 100%" in capsys.readouterr().err
    assert measured(shown) == measured(run("aim", *trained_llama, replace(SETTINGS, epochs=2), progress=False))
    assert capsys.readouterr().err == ""


def test_an_unknown_strategy_is_refused_with_those_that_are_known(trained_llama: Trained) -> None:
    with pytest.raises(ValueError, match=r"expected some of naive, replay, aim.*aimm"):
        run("aimm", *trained_llama, SETTINGS, progress=False)


def test_an_unknown_stream_is_refused_with_those_that_are_known(trained_llama: Trained) -> None:
    with pytest.raises(ValueError, match=r"test.*dev|dev.*test"):
        run("naive", *trained_llama, replace(SETTINGS, stream="valid"), progress=False)
