"""A group of processes that run one function together."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from forked import forked

TOGETHER = 600
"""Seconds that they may take; a busy machine needs them."""


def together(processes: int, folder: Path, work: Callable[..., None], *arguments: Any, **environment: str) -> list[int]:
    """Run a function in each of several processes, started as by ``torchrun``; returns how each ended.

    :param processes: how many.
    :param folder: gets ``log-<rank>``, what each prints.
    :param work: the function, of a module.
    :param arguments: of the function.
    :param environment: further variables.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1",
              "MASTER_PORT": port, **environment}  # fmt: skip
    started = [
        forked(work, folder / f"log-{rank}", {**shared, "RANK": rank, "LOCAL_RANK": rank}, *arguments)
        for rank in map(str, range(processes))
    ]
    try:
        for process in started:
            process.join(TOGETHER)
        return [process.exitcode for process in started]
    finally:
        for process in started:
            process.kill()


def begin() -> None:
    """Begin in a process of a group."""
    torch.set_num_threads(1)


def logs(folder: Path) -> str:
    """What the processes have printed, for a failed test.

    :param folder: of the logs.
    """
    return "\n".join(f"{path.name}:\n{path.read_text()[-3000:]}" for path in sorted(folder.glob("log-*")))
