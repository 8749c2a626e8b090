"""``torch.distributed`` for a program that may also run in one process, where none of these functions does anything."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

T = TypeVar("T")


def init_process_group(timeout: timedelta = timedelta(minutes=30)) -> torch.device:
    """Join the process group of ``torchrun`` or ``accelerate launch``, if there is one.

    Call it first, on every process. A process that ends with an error ends the others at once, since they lose its
    connection, or the launcher ends them; the timeout is for one that hangs.

    :param timeout: how long a process waits for the others before it raises an error.
    :raises ValueError: if the process group cannot be made, or the launcher is set up for FSDP.
    """
    if os.environ.get("ACCELERATE_USE_FSDP", "").lower() in ("1", "true", "yes"):
        raise ValueError(
            "expected a launcher that leaves models whole, got Accelerate set up for FSDP: use torchrun, or make an "
            "Accelerator() in a script of your own and call shard(model, accelerator)"
        )
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
        torch.cuda.set_device(device)
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not distributed.is_initialized():
        # Both backends: weights and outputs are on the accelerator, decisions and names are not.
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=timeout)
    return device


def check_joined() -> None:
    """Refuse, with a ValueError, to train alone where a launcher has started several processes."""
    started = os.environ.get("WORLD_SIZE", "1")
    if world_size() == 1 and started.isdigit() and int(started) > 1:
        raise ValueError(f"expected a process group of the {started} processes that the launcher started, got none, so "
                         "that each would train alone; make an accelerate.Accelerator(), or call init_process_group(), "
                         "before the strategy")  # fmt: skip


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
    """Return the main process's value, so that all processes decide alike even where floats differ in the last bit."""
    if world_size() == 1:
        return value
    values = [value]
    distributed.broadcast_object_list(values)
    return values[0]


def on_main_process(work: Callable[[], T]) -> T:
    """Call a function on the main process alone, and return its result, which can be pickled, on all processes."""
    return broadcast(work() if is_main_process() else None)  # type: ignore[return-value]


def gathered(value: T) -> list[T]:
    """Return what each process has, which can be pickled, on all processes."""
    values = [value] * world_size()
    if world_size() > 1:
        distributed.all_gather_object(values, value)
    return values


@torch.no_grad()
def broadcast_(tensors: Iterable[Tensor]) -> None:
    """Put the main process's values in the place of all others'; the tensors come in the same order everywhere."""
    for tensor in tensors:
        value = tensor.detach().contiguous()
        distributed.broadcast(value, 0)
        # Past autograd, which would take a batch norm's statistics for changed between forward and backward.
        tensor.data.copy_(value)


def summed(value: float) -> float:
    """Return the sum of a number over all processes."""
    if world_size() == 1:
        return value
    total = torch.tensor(value, dtype=torch.float64, device=_device())
    distributed.all_reduce(total)
    return float(total)


def check_same(values: dict[str, Any], remedy: str) -> None:
    """Refuse what is not the same on all processes.

    :raises ValueError: on every process, if one differs; the message names it.
    """
    found = gathered(values)
    for what, first in found[0].items():
        others = [number for number, other in enumerate(found) if other.get(what) != first]
        if others:
            there = found[others[0]].get(what)
            raise ValueError(f"expected the same {what} on all processes, got others on {others} than on 0: "
                             f"{there!r:.300}, not {first!r:.300}; {remedy}")  # fmt: skip


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


def _device() -> torch.device:
    """Where small tensors are that go between processes."""
    if "cpu:" in distributed.get_backend_config():
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())


def _is_initialized() -> bool:
    return distributed.is_available() and distributed.is_initialized()
