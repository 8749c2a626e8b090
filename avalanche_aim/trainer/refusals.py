"""Trainers that the callback cannot take part in, each with what to do."""

from typing import Any

NEEDED = ("_get_num_items_in_batch", "_prepare_inputs", "compute_loss", "loss_is_scaled_for_ga", "model_wrapped")
"""What the callback uses of a Trainer; in releases of Transformers before 5.24 some had other names."""


def check_trainer(trainer: Any) -> None:
    """Refuse a Trainer in which merging would do nothing, or something wrong.

    :raises TypeError: if it is none, or of another release of Transformers.
    :raises ValueError: if it cannot be served.
    """
    from transformers import Trainer, __version__

    if not isinstance(trainer, Trainer):
        raise TypeError(f"bind: expected a transformers.Trainer, got {type(trainer).__name__}")
    if missing := [name for name in NEEDED if not hasattr(trainer, name)]:
        raise TypeError(f"bind: expected a Trainer of transformers 5.24 or newer, got one of {__version__} without "
                        f"{', '.join(missing)}; update transformers")  # fmt: skip
    for present, what, remedy in (
        (trainer.is_deepspeed_enabled, "DeepSpeed, which keeps weights and gradients to itself", "use DDP"),
        (trainer.is_fsdp_enabled or _sharded(trainer.model), "sharded weights (FSDP)", "use DDP, with LoRA if need be"),
        (trainer.model_init is not None, "model_init, which makes a new model for each training", "pass model="),
        (trainer.args.enable_jit_checkpoint, "enable_jit_checkpoint, whose checkpoints callbacks are not told of",
         "leave it out, and save every few steps"),
        ("lomo" in str(trainer.args.optim), "an optimizer that steps in the backward pass (LOMO)", "take another"),
    ):  # fmt: skip
        if present:
            raise ValueError(f"AIMCallback: expected a Trainer with whole weights of one model, got {what}; {remedy}")


def _sharded(model: Any) -> bool:
    return any(hasattr(weight, "placements") for weight in model.parameters())
