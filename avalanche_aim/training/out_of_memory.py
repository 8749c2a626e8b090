"""Going on with half as much where memory runs out."""

import gc
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import distributed

T = TypeVar("T")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that an accelerator's or the machine's memory ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def halving(attempt: Callable[[int], T], size: int, remedy: str) -> tuple[T, int]:
    """Attempt something with ever fewer examples at a time, until memory suffices.

    :param attempt: takes a number of examples; has to leave no trace where it raises.
    :return: what the attempt returned, and the number it succeeded with.
    :raises RuntimeError: of the kind that was raised, where even one example is too much.
    """
    while True:
        try:
            return attempt(size), size
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or _many():  # the others have gone on with the whole batch
                raise
            if size <= 1:
                raise type(error)(f"{error}\nNot even one example fits: {remedy}") from error
        # Not within "except": the error's traceback holds what the failed attempt had in memory.
        size = (size + 1) // 2
        free_memory()


def _many() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def free_memory() -> None:
    """Free what a failed attempt left behind, cycles through its strategy and its tracebacks too.

    To be called once the error is gone.
    """
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
