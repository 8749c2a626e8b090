"""``torch.distributed`` for a program that may also run in one process, where none of these functions does anything."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed

T = TypeVar("T")


def init_process_group(timeout: timedelta = timedelta(minutes=30)) -> torch.device:
    """Join the process group of ``torchrun`` or ``accelerate launch``, if there is one.

    Call it first, on every process. A process that ends with an error ends the others at once, since they lose its
    connection, or the launcher ends them; the timeout is for one that hangs.

    :param timeout: how long a process waits for the others before it raises an error.
    :return: where this process is to train: its own accelerator, or the CPU.
    :raises ValueError: if the process group cannot be made; the message says why.
    """
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
        torch.cuda.set_device(device)
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not distributed.is_initialized():
        # Both backends: weights and outputs are on the accelerator, decisions and names are not.
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=timeout)
    return device


def destroy_process_group() -> None:
    """Leave the process group, at the end of the program."""
    if _is_initialized():
        distributed.destroy_process_group()


def world_size() -> int:
    """Return the number of processes: 1 without a process group."""
    return distributed.get_world_size() if _is_initialized() else 1


def rank() -> int:
    """Return the rank of this process: 0 without a process group."""
    return distributed.get_rank() if _is_initialized() else 0


def is_main_process() -> bool:
    """Whether this is the process that writes, logs and prints."""
    return rank() == 0


def broadcast(value: T) -> T:
    """Return the main process's value, so that all processes decide alike even where floats differ in the last bit.

    :param value: anything that can be pickled.
    """
    if world_size() == 1:
        return value
    values = [value]
    distributed.broadcast_object_list(values)
    return values[0]


def on_main_process(work: Callable[[], T]) -> T:
    """Call a function on the main process alone, and return its result on all processes.

    :param work: the function; its result can be pickled.
    """
    return broadcast(work() if is_main_process() else None)  # type: ignore[return-value]


@contextmanager
def local_main_process_first() -> Iterator[None]:
    """Let the first process of each machine go first, to download or to fill a cache that the others then find."""
    first = int(os.environ.get("LOCAL_RANK", 0)) == 0
    if not first:
        barrier()
    yield
    if first:  # not after an error: the process ends, and so do those that wait
        barrier()


def barrier() -> None:
    """Wait for all processes."""
    if world_size() > 1:
        distributed.barrier()


def _is_initialized() -> bool:
    return distributed.is_available() and distributed.is_initialized()
