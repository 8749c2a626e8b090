"""The method in a Trainer: decisions, weights, what stays as it is without the callback."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from short_presets import SHORT
from trainer_runs import BATCH, NEVER, STEPS, Network, avalanche, merges, merging, tasks, train, trainer, weights
from transformers import Trainer, TrainerCallback

from avalanche_aim import AIMCallback, AIMMergingPlugin, RehearsalMemory
from avalanche_aim.merging import PRESETS, FixedInterval, OncePerTask

OTHERS: dict[str, Any] = {
    **{name: {"preset": name, **SHORT.get(name, {})} for name in PRESETS},
    "once": {"schedule": OncePerTask(), "rule": "ties"},
    "other settings": {
        "schedule": FixedInterval(3),
        "rehearsal": {"hold_out": 0.5, "optimizer": "shared", "batch_size": 3, "max_grad_norm": 0.5},
    },
}


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(OTHERS.pop("paper"), id="paper"),
        pytest.param({"schedule": FixedInterval(3), "rehearsal": None}, id="no memory"),
        *(pytest.param(settings, id=name, marks=pytest.mark.slow) for name, settings in OTHERS.items()),
    ],
)
def test_it_merges_as_the_plugin_does_on_the_same_batches(settings: dict[str, Any]) -> None:
    memory = {} if settings.get("rehearsal", "") is None else {"memory": 6}
    ours, theirs = (kind(**memory, **settings) for kind in (AIMCallback, AIMMergingPlugin))
    first, second = train(ours), avalanche(theirs)
    assert merges(ours) == merges(theirs)
    assert merges(ours)
    assert [m.alpha_new for m in ours.history.merges] == pytest.approx([m.alpha_new for m in theirs.history.merges])
    for one, other in zip(ours.history.iterations, theirs.history.iterations, strict=True):
        assert (one.historical_loss, one.training_loss) == pytest.approx((other.historical_loss, other.training_loss))
        assert one.status == other.status
    torch.testing.assert_close(weights(first), weights(second), rtol=1e-5, atol=1e-6)


class Streams(TrainerCallback):
    """Keeps the weights and the random streams after each step."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        streams = torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()
        self.seen.append((weights(model).tolist(), streams, model.training))


def test_where_it_never_merges_training_is_the_same_to_the_bit() -> None:
    seen = []
    for aim in (None, merging(NEVER, rehearsal={"monitor": "train"})):
        streams = Streams()
        train(aim, Network(dropout=0.3), callbacks=[streams], train_sampling_strategy="random")
        seen.append(streams.seen)
    assert aim is not None
    assert len(aim.history.iterations) == 2 * STEPS
    assert seen[0] == seen[1]


def test_an_iteration_is_an_optimizer_step_with_all_its_accumulated_rows() -> None:
    whole, parts = merging(), merging()
    first = train(whole)
    second = train(parts, per_device_train_batch_size=BATCH // 4, gradient_accumulation_steps=4)
    assert merges(whole) == merges(parts)
    assert [i.historical_loss for i in whole.history.iterations] == pytest.approx(
        [i.historical_loss for i in parts.history.iterations], rel=1e-4
    )
    torch.testing.assert_close(weights(first), weights(second), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_what_needs_gradients_finds_those_of_the_training() -> None:
    class Angles(FixedInterval):
        def due(self, seen: Any) -> str | None:
            angles.append((seen.gradient_norm, seen.gradient_cosine))
            return super().due(seen)

    angles: list[tuple[float, float]] = []
    train(merging(schedule=Angles(4)))
    ours, angles = angles, []
    avalanche(AIMMergingPlugin("paper", memory=6, schedule=Angles(4)))
    assert ours == pytest.approx(np.array(angles), rel=1e-4)
    assert all(norm > 0 for norm, _ in ours)


def test_one_trainer_may_take_all_tasks() -> None:
    aim, model = merging(), Network()
    one = trainer(model, None)
    for dataset in tasks():
        one.train_dataset = dataset
        aim.bind(one).bind(one)
        one.train()
    assert merges(aim) == [(task, step) for task in (1, 2) for step in (4, 8)]
    assert [len(rows) for rows in aim.memory.selected] == [6, 6, 6]


def test_a_task_that_is_trained_on_again_is_not_remembered_twice() -> None:
    aim = merging()
    one = aim.bind(trainer(Network(), tasks()[0]))._trainer
    one.train()
    with pytest.warns(UserWarning, match="trained on again"):
        one.train()
    assert len(aim.memory) == 6


def test_the_memory_is_balanced_over_a_column_of_labels() -> None:
    topics = ["rare" if row < 3 else "common" for row in range(32)]
    by_topic, by_label = merging(NEVER), merging(NEVER)
    for aim, column in ((by_topic, "topic"), (by_label, None)):
        one = trainer(Network(), tasks(topic=topics)[0])
        aim.bind(one, column)
        one.train()
    assert sorted(topics[row] for row in by_topic.memory.selected[0]) == ["common"] * 3 + ["rare"] * 3
    assert sorted(row["labels"] for row in by_label.memory.buffer.rows) == [0, 0, 0, 1, 1, 1]


def test_a_fraction_of_rows_without_labels_is_kept() -> None:
    aim = AIMCallback("paper", memory=0.25)
    answers = [dataset.map(lambda row: {"labels": [row["labels"]]}) for dataset in tasks()[:1]]
    train(aim, datasets=answers, data_collator=first_labels)
    assert [len(rows) for rows in aim.memory.selected] == [8]


def first_labels(rows: list[Any]) -> Any:
    """Collate rows whose labels are lists, as a language model's are."""
    return {"x": torch.tensor([row["x"] for row in rows]), "labels": torch.tensor([row["labels"][0] for row in rows])}


def test_a_memory_of_its_own_is_used() -> None:
    memory = RehearsalMemory(0.5, seed=3)
    train(AIMCallback("paper", memory=memory))
    assert [len(rows) for rows in memory.selected] == [16, 16, 16]


def test_a_merge_at_the_end_comes_before_the_last_checkpoint_and_at_the_peak_rate(tmp_path: Any) -> None:
    aim, model = merging(schedule=OncePerTask()), Network()
    for number, dataset in enumerate(tasks()[:2]):
        one = trainer(model, dataset, tmp_path / str(number), save_strategy="steps", lr_scheduler_type="linear")
        aim.bind(one)
        one.train()
    (merge,) = aim.history.merges
    assert (merge.reason, merge.iteration) == ("end", STEPS)
    assert merge.memory_loss_after < merge.memory_loss_before
    saved = trainer(Network(), tasks()[0])
    saved._load_from_checkpoint(str(tmp_path / "1" / f"checkpoint-{STEPS}"))
    assert torch.equal(weights(saved.model), weights(model))


def test_a_task_that_is_stopped_early_ends_with_its_merge_and_is_remembered() -> None:
    class Stop(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            control.should_training_stop = state.global_step == 3

    aim = merging(schedule=OncePerTask())
    train(aim, callbacks=[Stop()], datasets=tasks()[:2])
    assert merges(aim) == [(1, 3)]
    assert [len(rows) for rows in aim.memory.selected] == [6, 6]


def test_its_numbers_join_the_trainers_log() -> None:
    logs: list[dict[str, float]] = []

    class Logger(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            seen.append(dict(logs))

    seen = logs
    train(merging(), callbacks=[Logger()])
    training = [log for log in logs if "loss" in log]
    assert "AIM/HistoricalLoss" not in training[0]
    assert {"AIM/HistoricalLoss", "AIM/AlphaNew", "AIM/LearningSignal", "AIM/Merge"} <= training[-1].keys()
    assert training[-1]["AIM/Merge"] == 4


def train_one_by_one(aim: AIMCallback) -> Any:
    """Train as :func:`train` does, and return the last Trainer."""
    model = Network()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for dataset in tasks():
        one = trainer(model, dataset, optimizers=(optimizer, None), eval_dataset=dataset)
        aim.bind(one)
        one.train()
    return one


def test_slow_weights_are_evaluated_and_the_others_trained_on() -> None:
    plain, slow = merging(), merging(slow={"name": "exponential", "decay": 0.9})
    first = train(plain)
    one = train_one_by_one(slow)
    assert torch.equal(weights(first), weights(one.model))
    evaluated = one.evaluate()["eval_loss"]
    assert torch.equal(weights(first), weights(one.model))
    slow.merging.evaluate_slow(True)
    assert not torch.equal(weights(first), weights(one.model))
    batch = one.data_collator(list(one.eval_dataset))
    assert float(one.model(**batch)["loss"].detach()) == pytest.approx(evaluated)


def test_weights_that_are_not_finite_end_the_first_task_though_the_trainer_hides_such_losses() -> None:
    class Spoil(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
            if state.global_step == 2:
                with torch.no_grad():
                    model.layers[0].weight.fill_(float("nan"))

    with pytest.raises(FloatingPointError, match="non-finite in experience 0"):
        train(merging(), callbacks=[Spoil()], num_train_epochs=100)


def test_it_trains_in_bf16() -> None:
    aim = merging()
    model = train(aim, bf16=True)
    assert len(aim.history.merges) == 4
    assert all(merge.merged for merge in aim.history.merges)
    assert bool(weights(model).isfinite().all())


class Scaled(Trainer):
    """Scales its losses as in fp16, on a CPU; ``overflows`` are the backward passes that overflow."""

    overflows: tuple[int, ...] = ()

    def create_accelerator_and_postprocess(self) -> None:
        super().create_accelerator_and_postprocess()
        self.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8, growth_interval=5)
        self.passes = 0

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        loss = super().compute_loss(*args, **kwargs)
        if loss.requires_grad:
            self.passes += 1
            return loss * float("inf") if self.passes in self.overflows else loss
        return loss


def test_scaled_losses_make_the_gradients_of_plain_ones() -> None:
    plain, scaled = merging(), merging()
    first, second = train(plain), train(scaled, kind=Scaled)
    assert merges(plain) == merges(scaled)
    torch.testing.assert_close(weights(first), weights(second), rtol=1e-5, atol=1e-6)


def test_a_memory_batch_that_overflows_takes_no_step() -> None:
    class Overflowing(Scaled):
        overflows = (6,)  # four steps of training, then the second memory batch

    aim = merging(rehearsal={"optimizer": "fresh"})
    model = train(aim, kind=Overflowing)
    assert bool(weights(model).isfinite().all())
    assert len(aim.history.merges) == 4
