"""Trainers that cannot be served get an error that says what to do, before anything is trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch.utils.data import IterableDataset
from trainer_runs import Network, merges, merging, tasks, train, trainer, weights
from transformers import TrainerCallback, default_data_collator

from avalanche_aim import AIMCallback
from avalanche_aim.rehearsal import Rehearsal


def test_a_callback_that_is_not_bound_is_refused() -> None:
    one = trainer(Network(), tasks()[0], callbacks=[AIMCallback("paper")])
    with pytest.raises(ValueError, match=r"to be bound .* got none; call aim.bind\(trainer\)"):
        one.train()


def test_a_callback_that_was_bound_to_another_trainer_since_is_refused() -> None:
    aim, (first, second) = merging(), (trainer(Network(), tasks()[0]) for _ in range(2))
    aim.bind(first)
    aim.bind(second)
    with pytest.raises(ValueError, match="got another one since"):
        first.train()


def test_it_cannot_leave_a_trainer_that_trains() -> None:
    class Leave(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            aim.bind(other)

    aim, other = merging(), trainer(Network(), tasks()[0])
    one = trainer(Network(), tasks()[0], callbacks=[Leave()])
    aim.bind(one)
    with pytest.raises(ValueError, match="got another one since"):
        one.train()


@pytest.mark.slow
def test_a_training_that_broke_off_may_be_begun_again() -> None:
    class Break(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            raise KeyboardInterrupt

    aim, model = merging(), Network()
    with pytest.raises(KeyboardInterrupt):
        train(aim, model, callbacks=[Break()])
    train(aim, model)
    assert {experience for experience, _ in merges(aim)} == {1, 2}


def test_two_callbacks_in_a_trainer_are_refused() -> None:
    one = trainer(Network(), tasks()[0])
    merging().bind(one)
    with pytest.raises(ValueError, match="expected one AIMCallback in a Trainer, got a second one"):
        merging().bind(one)


def test_what_is_no_trainer_is_refused() -> None:
    with pytest.raises(TypeError, match=r"expected a transformers.Trainer, got Network"):
        merging().bind(Network())


@pytest.mark.parametrize(
    ("attribute", "message"),
    [("is_deepspeed_enabled", "DeepSpeed.*use DDP"), ("is_fsdp_enabled", "FSDP.*use DDP")],
)
def test_an_engine_that_shards_is_refused_by_name(attribute: str, message: str) -> None:
    one = trainer(Network(), tasks()[0])
    setattr(one, attribute, True)
    with pytest.raises(ValueError, match=message):
        merging().bind(one)


def test_a_new_model_for_each_training_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model_init.*pass model="):
        merging().bind(trainer(None, tasks()[0], model_init=lambda: Network()))


def test_checkpoints_that_callbacks_are_not_told_of_are_refused() -> None:
    one = trainer(Network(), tasks()[0])
    one.args.enable_jit_checkpoint = True
    with pytest.raises(ValueError, match=r"enable_jit_checkpoint.*leave it out"):
        merging().bind(one)


class Stream(IterableDataset):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        return iter([{"x": torch.zeros(8), "labels": 0}] * 32)


def test_data_without_numbered_rows_is_refused_and_trains_without_a_memory() -> None:
    with pytest.raises(ValueError, match=r"whose rows have numbers.*got Stream.*rehearsal=None"):
        train(merging(), datasets=[Stream()], max_steps=8)
    aim = AIMCallback("paper", rehearsal=None, schedule={"name": "fixed", "n": 4})
    train(aim, datasets=[Stream(), Stream()], max_steps=8)
    assert merges(aim) == [(1, 4), (1, 8)]


def test_a_collator_that_takes_whole_batches_alone_is_refused_before_training() -> None:
    def whole(rows: list[Any]) -> Any:
        return default_data_collator([rows[row] for row in range(8)])

    model = Network()
    before = weights(model)
    with pytest.raises(ValueError, match=r"its collator does not pass a batch of single rows.*IndexError"):
        train(merging(), model, data_collator=whole)
    assert torch.equal(weights(model), before)


def test_rows_that_this_tasks_collator_does_not_know_are_refused_before_its_training() -> None:
    first, second, _ = tasks()
    renamed = second.rename_column("x", "pixels")

    def collate(rows: list[Any]) -> Any:
        batch = default_data_collator(rows)
        return {"x": batch["pixels"], "labels": batch["labels"]}

    model, aim = Network(), merging()
    train(aim, model, [first])
    before = weights(model)
    with pytest.raises(ValueError, match=r"rows of earlier tasks.*'pixels'.*same columns"):
        train(aim, model, [renamed], data_collator=collate, remove_unused_columns=False)
    assert torch.equal(weights(model), before)


def test_a_model_that_does_not_pass_memory_rows_is_named() -> None:
    class Own(Network):
        def forward(self, x: Any, labels: Any = None) -> Any:
            if int(labels.min()) < first:
                raise RuntimeError("labels of another task")
            return super().forward(x, labels)

    first, model, aim = 0, Own(), merging()
    train(aim, model, tasks()[:1])
    first = 2
    with pytest.raises(ValueError, match=r"its model does not pass.*labels of another task"):
        train(aim, model, tasks()[1:])


def test_rows_that_no_checkpoint_holds_are_refused_where_there_are_checkpoints(tmp_path: Path) -> None:
    rows = [{"x": np.zeros(8, dtype=np.float32), "labels": 0}] * 32
    with pytest.raises(ValueError, match=r"can be saved.*got ndarray.*save_strategy='no'"):
        train(merging(), datasets=[rows], folder=tmp_path, save_strategy="steps")
    train(merging(), datasets=[rows])


@pytest.mark.parametrize("dataset", [tasks()[0], list(tasks()[0])], ids=["datasets", "list"])
def test_a_column_of_labels_that_is_not_there_is_refused(dataset: Any) -> None:
    one = trainer(Network(), dataset)
    merging().bind(one, label_column="topic")
    with pytest.raises(ValueError, match=r"label_column: expected .*'topic'"):
        one.train()


def test_a_memory_that_chooses_no_rows_is_refused() -> None:
    class Fixed:
        selected: list[Any] = []  # noqa: RUF012

        def __len__(self) -> int:
            return 0

    with pytest.raises(TypeError, match=r"expected a RehearsalMemory.*got Fixed"):
        AIMCallback("paper", rehearsal=Rehearsal(Fixed())).bind(trainer(Network(), tasks()[0]))


def test_a_model_without_trainable_weights_is_refused() -> None:
    model = Network().requires_grad_(False)
    with pytest.raises(ValueError, match="no trainable parameter"):
        train(merging(), model, [Dataset.from_list(list(tasks()[0]))])
