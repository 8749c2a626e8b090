"""What the method depends on, beside each checkpoint of a Trainer."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checkpoint.folder import Checkpoint, plain, read, write

FILE = "aim_callback.pt"
"""The file's name in the Trainer's own folder ``checkpoint-<step>``."""
SAMPLED = 16
"""Numbers of each weight by which a file knows which weights it belongs to."""


def folder_of(trainer: Any) -> Path:
    """Return where a Trainer saves its current step."""
    return Path(trainer.args.output_dir) / f"checkpoint-{trainer.state.global_step}"


def check_rows(rows: Iterable[Any]) -> None:
    """Refuse, with a ValueError, rows that hold what a checkpoint cannot: other than numbers, text and tensors."""
    try:
        plain(list(rows))
    except TypeError as error:
        raise ValueError(
            f"AIMCallback: expected rows that can be saved for the memory, got others: {error}; turn them into lists "
            "or tensors (dataset.with_format('torch')), or leave checkpoints out: save_strategy='no'"
        ) from error


def save(trainer: Any, weights: Iterable[Tensor], state: dict[str, Any]) -> None:
    """Write what the method depends on beside the Trainer's newest checkpoint."""
    write(folder_of(trainer) / FILE, {"weights": _sample(weights), "step": trainer.state.global_step, **state})


def load(trainer: Any, weights: Iterable[Tensor]) -> Checkpoint:
    """Read the file beside the checkpoint that a Trainer has resumed from, which callbacks aren't told.

    :raises ValueError: if there is none, or it is another run's.
    """
    asked, step = trainer.args.resume_from_checkpoint, trainer.state.global_step
    folders = [*([Path(asked)] if isinstance(asked, str) else []), folder_of(trainer)]
    there = [folder / FILE for folder in folders if (folder / FILE).is_file()]
    sample = _sample(weights)
    for path in there:
        checkpoint = read(path)
        state = checkpoint.state(torch.device("cpu"))
        if state.get("step") == step and _same(state.get("weights"), sample):
            return checkpoint
    looked = " and ".join(str(folder) for folder in folders)
    found = "one of another step or with other weights" if there else "none"
    raise ValueError(
        f"AIMCallback: expected {FILE} of step {step}, from which the Trainer resumes, in {looked}, got {found}; if "
        "the checkpoint lies elsewhere, name it in TrainingArguments(resume_from_checkpoint=…) too; one that was saved "
        "without the callback can't be resumed with it"
    )


def _sample(weights: Iterable[Tensor]) -> list[Tensor]:
    flat = [weight.detach().reshape(-1) for weight in weights]
    return [numbers[:: max(1, len(numbers) // SAMPLED)].cpu() for numbers in flat]


def _same(first: Any, second: list[Tensor]) -> bool:
    return isinstance(first, list) and len(first) == len(second) and all(map(_equal, first, second))


def _equal(first: Any, second: Tensor) -> bool:
    return isinstance(first, Tensor) and torch.equal(first, second)
