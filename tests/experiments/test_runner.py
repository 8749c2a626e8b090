"""Train one strategy on one stream and measure it; a result as plain data."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.training import Naive
from avalanche.training.plugins import SupervisedPlugin
from torch import Tensor

from avalanche_aim import LanguageModel
from avalanche_aim.experiments import STRATEGIES, Cost, Key, Result, Settings, Strategy, run
from avalanche_aim.experiments.progress import progress_bar
from avalanche_aim.text import generate

Trained = tuple[LanguageModel, Any]
SETTINGS = Settings(batch_size=4, eval_batch_size=5, learning_rate=1e-4, memory=4)
STANDING_STILL = replace(SETTINGS, learning_rate=1e-12)


def measured(result: Result) -> tuple[Any, ...]:
    """Return everything of a result but the time it took."""
    losses = [(record.training_loss, record.historical_loss) for record in getattr(result.history, "iterations", [])]
    return result.r, result.metrics, result.label_accuracy, result.merges, losses


@pytest.mark.parametrize("name", ["replay", "aim"])
def test_the_same_seed_gives_the_same_result(name: str, trained_llama: Trained) -> None:
    first, second = (run(Key(name), *trained_llama, SETTINGS, bar=progress_bar(0, False)) for _ in range(2))
    assert any(score for row in first.r for score in row)
    assert measured(first) == measured(second)


def test_python_s_and_numpy_s_streams_are_seeded_too(trained_llama: Trained) -> None:
    drawn: list[tuple[float, float]] = []
    for seed in (0, 0, 1):  # A-GEM picks what it rehearses with Python's
        run(Key("agem", seed=seed), *trained_llama, SETTINGS, bar=progress_bar(0, False))
        drawn.append((random.random(), np.random.random()))
    assert drawn[0] == drawn[1]
    assert all(a != b for a, b in zip(drawn[0], drawn[2], strict=True))


def test_another_seed_gives_another_run(trained_llama: Trained) -> None:
    runs = [run(Key("aim-paper", seed=seed), *trained_llama, SETTINGS, bar=progress_bar(0, False)) for seed in (0, 1)]
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
    result = run(Key("naive"), model, benchmark, replace(STANDING_STILL, stream=stream), bar=progress_bar(0, False))
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
    monkeypatch.setitem(STRATEGIES, "spy", Strategy(Naive, lambda budget: {"plugins": [plugin]}))
    return plugin


def test_the_optimizer_is_adamw_without_decay(trained_llama: Trained, spy: Spy) -> None:
    run(Key("spy"), *trained_llama, SETTINGS, bar=progress_bar(0, False))
    assert set(spy.optimizers) == {(torch.optim.AdamW, SETTINGS.learning_rate, 0.0)}


def test_the_optimizer_starts_anew_in_each_task(trained_llama: Trained, spy: Spy) -> None:
    run(Key("spy"), *trained_llama, replace(SETTINGS, epochs=2), bar=progress_bar(0, False))
    assert spy.steps == [2 * 6, 2 * 4]  # 24 and 16 examples by fours


def test_an_iteration_has_as_many_examples_as_asked_for(trained_llama: Trained, spy: Spy) -> None:
    run(Key("spy"), *trained_llama, replace(SETTINGS, batch_size=6), bar=progress_bar(0, False))
    assert spy.batches == [6] * 4 + [6, 6, 4]  # 24 and 16 examples


def test_only_the_tasks_seen_so_far_are_evaluated(trained_llama: Trained) -> None:
    result = run(Key("naive"), *trained_llama, STANDING_STILL, bar=progress_bar(0, False))
    assert [len(row) for row in result.r] == [1, 2]


def test_the_numbers_follow_from_r(trained_llama: Trained) -> None:
    result = run(Key("naive"), *trained_llama, replace(SETTINGS, learning_rate=1e-2), bar=progress_bar(0, False))
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
    result = run(Key("naive"), model, benchmark, STANDING_STILL, bar=progress_bar(0, False))
    assert result.label_accuracy[0] == pytest.approx(100.0 * right / len(moods.test))


def test_an_open_task_has_no_label_accuracy(trained_llama: Trained) -> None:
    assert len(run(Key("naive"), *trained_llama, STANDING_STILL, bar=progress_bar(0, False)).label_accuracy) == 1


def test_a_result_says_what_ran(trained_llama: Trained) -> None:
    result = run(Key("replay", seed=3), *trained_llama, SETTINGS, bar=progress_bar(0, False))
    assert (result.strategy, result.seed, result.tasks) == ("replay", 3, ["moods", "names"])
    assert (result.order, result.single) == ("", None)


def test_the_order_and_the_references_are_recorded(trained_llama: Trained) -> None:
    result = run(Key("naive", "2"), *trained_llama, SETTINGS, single=[50.0, 0.0], bar=progress_bar(0, False))
    assert (result.order, result.single) == ("2", [50.0, 0.0])
    assert "FWT" in result.metrics


def test_only_merging_has_merges_and_a_history(trained_llama: Trained) -> None:
    replay, aim = (
        run(Key(name), *trained_llama, SETTINGS, bar=progress_bar(0, False)) for name in ("replay", "aim-paper")
    )
    assert (replay.merges, replay.history) == (None, None)
    assert aim.history is not None
    assert aim.history.iterations
    assert aim.merges == len(aim.history.merges)


@pytest.mark.parametrize("name", ["naive", "aim"])
def test_the_model_stays_as_it_was(name: str, trained_llama: Trained) -> None:
    model, benchmark = trained_llama
    before = {key: value.clone() for key, value in model.state_dict().items()}
    run(Key(name), model, benchmark, SETTINGS, bar=progress_bar(0, False))
    assert not model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_showing_progress_changes_nothing(trained_llama: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(Key("aim"), *trained_llama, replace(SETTINGS, epochs=2))
    assert "100%" in capsys.readouterr().err
    hidden = run(Key("aim"), *trained_llama, replace(SETTINGS, epochs=2), bar=progress_bar(0, False))
    assert measured(shown) == measured(hidden)
    assert capsys.readouterr().err == ""


def test_the_labels_that_a_strategy_reads_are_scored_in_its_own_copy_alone(trained_llama: Trained) -> None:
    model, benchmark = trained_llama
    run(Key("lwf"), model, benchmark, SETTINGS, bar=progress_bar(0, False))
    assert not model.score_all_labels


def test_an_unknown_strategy_is_refused_with_those_that_are_known(trained_llama: Trained) -> None:
    with pytest.raises(ValueError, match=r"expected some of naive, replay, .*got aimm"):
        run(Key("aimm"), *trained_llama, SETTINGS, bar=progress_bar(0, False))


def test_an_unknown_option_is_refused_before_training(trained_llama: Trained, spy: Spy) -> None:
    with pytest.raises(ValueError, match="options of spy: expected none; got windw"):
        run(Key("spy"), *trained_llama, SETTINGS, options={"windw": 7}, bar=progress_bar(0, False))
    assert spy.batches == []


def test_options_change_the_run(trained_llama: Trained) -> None:
    settings, bar = replace(SETTINGS, memory=8), progress_bar(0, False)
    merges = [
        run(Key("fixed-interval"), *trained_llama, settings, options={"interval": n}, bar=bar).merges for n in (1, 2)
    ]
    assert merges == [4, 2]


def test_an_unknown_stream_is_refused_with_those_that_are_known(trained_llama: Trained) -> None:
    with pytest.raises(ValueError, match=r"test.*dev|dev.*test"):
        run(Key("naive"), *trained_llama, replace(SETTINGS, stream="valid"), bar=progress_bar(0, False))


# A result as plain data


def through_json(result: Result) -> Result:
    return Result.from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False)), result.history)


def test_a_result_comes_back_from_json(result_of: Callable[..., Result], merged: Result) -> None:
    joint = result_of("joint", 2, ((), (60.0, 90.0)), single=[50.0, 70.0], label_accuracy=[])
    for result in (result_of(), merged, joint, result_of(r=((None,), (60.0, 90.0)))):
        assert through_json(result) == result


def test_plain_data_has_the_numbers_that_follow_from_r(result_of: Callable[..., Result], merged: Result) -> None:
    data = result_of(single=[70.0, 70.0]).to_dict()
    assert data["metrics"] == {"OP": 75.0, "BWT": -20.0, "FWT": 15.0, "Forgetting": 20.0}
    assert (data["merges"], merged.to_dict()["merges"]) == (None, 1)
    assert "history" not in merged.to_dict()


def test_what_is_not_a_number_is_null(result_of: Callable[..., Result]) -> None:
    assert result_of(r=((80.0,),)).to_dict()["metrics"] == {"OP": 80.0, "BWT": None, "Forgetting": None}


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_plain_data_with_other_fields_is_refused(result_of: Callable[..., Result], change: str) -> None:
    data = result_of().to_dict()
    if change == "missing":
        del data["cost"]
    else:
        data["colour"] = "red"
    with pytest.raises(ValueError, match=r"expected the fields .*(colour|None)"):
        Result.from_dict(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": "0"}, "result: expected seed of type int, got '0'"),
        ({"seed": True}, "result: expected seed of type int, got True"),
        ({"tasks": ["moods", 3]}, r"result: expected tasks of type list\[str\]"),
        ({"tasks": ["moods", "\ud800"]}, r"result: expected tasks of type list\[str\]"),
        ({"tasks": ["moods", "moods"]}, "tasks: expected 2 different ones"),
        ({"r": [[80.0], [60.0, 900.0]]}, "r: expected scores in percent"),
        ({"r": [[80.0], [60.0]]}, "R: expected its last row"),
        ({"single": [50.0, -1.0]}, "single: expected scores in percent"),
        ({"label_accuracy": [float("nan")]}, "label_accuracy: expected scores in percent"),
        ({"cost": {"minutes": 1.0}}, "cost: expected the fields"),
    ],
)
def test_plain_data_that_no_run_measures_is_refused(
    result_of: Callable[..., Result], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Result.from_dict({**result_of().to_dict(), **change})


def test_a_cost_that_is_no_number_is_refused(result_of: Callable[..., Result]) -> None:
    data = result_of().to_dict()
    for cost in ("much", -1.0, float("inf"), True, [1]):
        with pytest.raises(ValueError, match="cost: expected"):
            Result.from_dict({**data, "cost": {**data["cost"], "minutes": cost}})


def test_the_cost_comes_back_as_such(result_of: Callable[..., Result]) -> None:
    assert through_json(result_of()).cost == Cost(2.0, 1.5, 40, 1.0, 0.0, 512.0)
