"""Processes that are forked from one that has imported everything: imports take longer than what the tests run."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from avalanche_aim.__main__ import main

CONTEXT = multiprocessing.get_context("forkserver")
# Modules that are found without the test folders in the path, which the first process doesn't get.
CONTEXT.set_forkserver_preload(["avalanche_aim.experiments.comparison", "torch.distributed.fsdp"])


def forked(target: Callable[..., Any], log: Path, environment: dict[str, str], *arguments: Any) -> ForkServerProcess:
    """Start a function in a process of its own.

    :param target: a function of a module.
    :param log: the file that gets what it prints.
    :param environment: its variables, besides this process's.
    :param arguments: of the function.
    """
    process = CONTEXT.Process(target=_run, args=(target, log, {**os.environ, **environment}, *arguments))
    process.start()
    return process


def command(arguments: Sequence[str]) -> None:
    """Be ``python -m avalanche_aim``."""
    raise SystemExit(main(arguments))


def _run(target: Callable[..., Any], log: Path, environment: dict[str, str], *arguments: Any) -> None:
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(environment)
    target(*arguments)
