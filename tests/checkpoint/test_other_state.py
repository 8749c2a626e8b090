"""A checkpoint whose files are whole, but whose state is none of this run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from avalanche.training.plugins import SupervisedPlugin
from checkpoint_runs import Run, aim, names_in

from avalanche_aim import CheckpointPlugin
from avalanche_aim.checkpoint import Damaged


def reseal(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the state of a checkpoint."""
    saved = torch.load(path, weights_only=True)
    change(saved["state"])
    torch.save(saved, path)


NONSENSE: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no identity": (lambda s: s.update(identity=[]), "TypeError"),
    "experience": (lambda s: s.update(experience=-1), "experience: expected a whole number from 0 to 1, got -1"),
    "epoch": (lambda s: s.update(epoch=2), "epoch: expected a whole number from 0 to 1, got 2"),
    "batch": (lambda s: s.update(batch=1.0), "batch: expected a whole number"),
    "next": (lambda s: s.update(next=5), "next: expected a batch's checksum"),
    "order": (lambda s: s["epoch_start"].pop("torch"), "KeyError"),
    "weights": (lambda s: s["model"].update(other=s["model"]["0.weight"]), "got one with other weights: other"),
    "optimizer": (lambda s: s["optimizer"].update(groups=None), "TypeError"),
    "rate": (lambda s: s["optimizer"]["groups"][0].update(lr="a"), "expected learning rates that are numbers"),
    "memory": (lambda s: s["memories"].append({}), "ValueError"),
    "stop": (lambda s: s.update(stop="no"), "stop: expected true or false"),
    "plugin": (lambda s: s["plugins"].insert(0, ["Other", {}]), "plugins: expected Other"),
    "history": (lambda s: s["plugins"][1][1]["recorder"]["history"].clear(), "expected a history"),
}


@pytest.mark.parametrize("what", NONSENSE)
def test_a_state_that_is_none_of_this_run_is_refused_in_spite_of_its_checksum(
    what: str, stream: Any, tmp_path: Path
) -> None:
    Run(stream, aim).train(CheckpointPlugin(tmp_path))
    change, said = NONSENSE[what]
    newest = tmp_path / names_in(tmp_path)[-1]
    reseal(newest, change)
    with pytest.raises(
        Damaged, match=rf"{newest.name}: expected a state of this run, got something else \(.*{said}"
    ) as e:
        Run(stream, aim).train(CheckpointPlugin(tmp_path))
    assert e.value.__cause__ is not None


def test_more_batches_than_there_are_end_in_an_error(stream: Any, tmp_path: Path) -> None:
    Run(stream, aim).train(CheckpointPlugin(tmp_path))
    (tmp_path / names_in(tmp_path)[-1]).rename(tmp_path / "aside")  # the end has no next batch
    reseal(tmp_path / names_in(tmp_path)[-1], lambda state: state.update(batch=2**62))
    with pytest.raises(ValueError, match="expected the data loader to come to the same batch again"):
        Run(stream, aim).train(CheckpointPlugin(tmp_path))


def test_memory_that_runs_out_is_no_damage(stream: Any, tmp_path: Path) -> None:
    class Large(SupervisedPlugin):
        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            raise torch.OutOfMemoryError("out of memory")

    Run(stream, Large).train(CheckpointPlugin(tmp_path))
    with pytest.raises(torch.OutOfMemoryError):
        Run(stream, Large).train(CheckpointPlugin(tmp_path))
