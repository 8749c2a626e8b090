"""The processes that run together, and what they tell each other. With one process nothing here does anything."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed

T = TypeVar("T")


def initialise(timeout: timedelta = timedelta(minutes=30)) -> torch.device:
    """Join the other processes that ``torchrun`` or ``accelerate launch`` started, if any did.

    Call it first, on every process. A process that ends with an error ends the others at once, since they lose its
    connection, or the launcher ends them; the timeout is for one that hangs, or works on alone.

    :param timeout: how long a process waits for the others, before it gives up with an error.
    :return: where this process is to train: its own accelerator, or the CPU.
    :raises ValueError: if the process group cannot be made; the message says why.
    """
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
        torch.cuda.set_device(device)
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not distributed.is_initialized():
        # Both: weights and outputs are on the accelerator, decisions and names are not.
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=timeout)
    return device


def end() -> None:
    """Leave the others, when all is done."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def count() -> int:
    """Return how many processes there are: 1 without a process group."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """Return which of the processes this one is, from 0."""
    return distributed.get_rank() if count() > 1 else 0


def is_main() -> bool:
    """Whether this is the process that writes, logs and prints."""
    return rank() == 0


def agreed(value: float) -> float:
    """Return the first process's value, so that all decide alike even where floats may differ in the last bit.

    :param value: a number that all processes have computed.
    """
    if count() == 1:
        return value
    box = torch.tensor([value], dtype=torch.float64, device=wire())
    distributed.broadcast(box, 0)
    return float(box)


def from_main(work: Callable[[], T]) -> T:
    """Do something on the first process alone, and return its result on all.

    :param work: what to do; it returns something that can be pickled.
    """
    if count() == 1:
        return work()
    box = [work() if is_main() else None]
    distributed.broadcast_object_list(box)
    return box[0]  # type: ignore[return-value]


@contextmanager
def machine_first() -> Iterator[None]:
    """Let the first process of each machine go first, to download or to fill a cache that the others then find."""
    first = int(os.environ.get("LOCAL_RANK", 0)) == 0
    if not first:
        meet()
    yield
    if first:  # not after an error: the process ends, and so do those that wait
        meet()


def meet() -> None:
    """Wait for all processes."""
    if count() > 1:
        distributed.all_reduce(torch.zeros(1, device=wire()))


def wire() -> torch.device:
    """Return where small tensors have to be to reach the other processes."""
    nccl_alone = distributed.get_backend() == "nccl"
    return torch.device("cuda", torch.cuda.current_device()) if nccl_alone else torch.device("cpu")
