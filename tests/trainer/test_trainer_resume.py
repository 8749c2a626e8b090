"""A Trainer that resumes from its own checkpoints goes on as if it had never stopped, to the bit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from trainer_runs import Network, merging, tasks, trainer, weights
from transformers import TrainerCallback
from transformers.trainer_utils import get_last_checkpoint

from avalanche_aim import AIMCallback
from avalanche_aim.checkpoint import Damaged
from avalanche_aim.trainer.saved import FILE

SETTINGS: dict[str, Any] = {"save_strategy": "steps", "save_steps": 3, "train_sampling_strategy": "random"}


class Interrupt(TrainerCallback):
    """Stops a program in the third task, by an error between two checkpoints."""

    def __init__(self, active: bool) -> None:
        self.active = active
        self.trainings = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainings += 1

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.active and self.trainings == 3 and state.global_step == 5:
            raise KeyboardInterrupt


def program(folder: Path, interrupted: bool = False) -> tuple[AIMCallback, Network]:
    """A script as users write it: each task in a folder of its own, resumed from what is there."""
    aim = AIMCallback("paper", memory=6, schedule={"initial": 2}, slow="exponential", rehearsal={"monitor": "train"})
    model, interrupt = Network(dropout=0.2), Interrupt(interrupted)
    for number, dataset in enumerate(tasks()):
        own = folder / str(number)
        one = trainer(model, dataset, own, lr_scheduler_type="linear", callbacks=[interrupt], **SETTINGS)
        aim.bind(one)
        one.train(resume_from_checkpoint=get_last_checkpoint(str(own)) if own.is_dir() else None)
    return aim, model


def test_a_program_that_is_started_again_ends_as_one_that_ran_through(tmp_path: Path) -> None:
    whole, through = program(tmp_path / "through")
    with pytest.raises(KeyboardInterrupt):
        program(tmp_path / "again", interrupted=True)
    aim, model = program(tmp_path / "again")
    assert aim.history == whole.history
    assert len({merge.experience for merge in aim.history.merges}) == 2
    assert torch.equal(weights(model), weights(through))
    for part in (aim, whole):
        part.merging.evaluate_slow(True)
    assert torch.equal(weights(model), weights(through))
    assert aim.memory.selected == whole.memory.selected


def saved_task(folder: Path, aim: Any = None) -> Any:
    """Train on one task and return a new Trainer that could resume from its checkpoint at step 8."""
    model = Network()
    one = trainer(model, tasks()[0], folder, **SETTINGS)
    if aim is not None:
        aim.bind(one)
    one.train()
    return trainer(Network(), tasks()[0], folder, **SETTINGS)


def test_a_checkpoint_elsewhere_is_found_where_the_arguments_name_it(tmp_path: Path) -> None:
    saved_task(tmp_path / "first", merging())
    checkpoint = str(tmp_path / "first" / "checkpoint-8")
    for named in (False, True):
        more = {"resume_from_checkpoint": checkpoint} if named else {}
        one = trainer(Network(), tasks()[0], tmp_path / "second", **SETTINGS, **more)
        aim = merging().bind(one)
        if named:
            one.train(resume_from_checkpoint=checkpoint)
            assert len(aim.memory) == 6
        else:
            with pytest.raises(ValueError, match=r"of step 8.*got none; .*TrainingArguments"):
                one.train(resume_from_checkpoint=checkpoint)


def test_a_checkpoint_saved_without_the_callback_is_refused(tmp_path: Path) -> None:
    one = saved_task(tmp_path)
    merging().bind(one)
    with pytest.raises(ValueError, match="saved without the callback"):
        one.train(resume_from_checkpoint=str(tmp_path / "checkpoint-8"))


def test_the_state_of_other_weights_is_refused(tmp_path: Path) -> None:
    one = saved_task(tmp_path, merging())
    (tmp_path / "checkpoint-6" / FILE).rename(tmp_path / "checkpoint-8" / FILE)
    merging().bind(one)
    with pytest.raises(ValueError, match="another step or with other weights"):
        one.train(resume_from_checkpoint=str(tmp_path / "checkpoint-8"))


def test_a_task_that_has_ended_is_not_made_longer(tmp_path: Path) -> None:
    saved_task(tmp_path, merging())
    longer = trainer(Network(), tasks()[0], tmp_path, **{**SETTINGS, "num_train_epochs": 3})
    merging().bind(longer)
    with pytest.raises(ValueError, match=r"a task of 8 steps.*got 12 steps"):
        longer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-8"))


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    one = saved_task(tmp_path, merging())
    path = tmp_path / "checkpoint-8" / FILE
    path.write_bytes(path.read_bytes()[:200])
    merging().bind(one)
    with pytest.raises(Damaged, match=FILE):
        one.train(resume_from_checkpoint=str(tmp_path / "checkpoint-8"))


def test_the_state_of_other_parts_is_named(tmp_path: Path) -> None:
    one = saved_task(tmp_path, merging())
    AIMCallback("paper", memory=6, slow="exponential").bind(one)
    with pytest.raises(Damaged, match="a state of this run"):
        one.train(resume_from_checkpoint=str(tmp_path / "checkpoint-8"))
