"""The commands of docs/distributed.md as they are written, with two processes, and what is said of one that dies."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
import torch
from pages import ROOT, SMALL, commands

TIMEOUT = 900
"""Seconds that a command may take; a busy machine needs them."""
EXAMPLE = [
    command for place, command in commands() if place.startswith("docs/distributed.md") and "examples/" in command
]


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """Return the variables of a shell in which the launchers of this Python are found."""
    scripts = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": scripts, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def printed(command: str, environment: dict[str, str]) -> str:
    """Run a command at the top of the repository, and return what it prints."""
    done = subprocess.run(
        command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def numbers(output: str) -> list[float]:
    """Return all numbers of R and of the weights that the example prints."""
    _, found, after = output.partition("R =")
    assert found, output
    return [float(number) for number in re.findall(r"[\d.]+", after)]


def passes(folder: Path) -> dict[str, tuple[int, float, float]]:
    """Return what the runs of a comparison passed through the model; dropout makes their scores differ."""
    runs = [json.loads(path.read_text())["result"] for path in folder.glob("runs/[!h]*.json")]
    costs = {run["strategy"]: run["cost"] for run in runs}
    return {name: (c["iterations"], c["gradient_passes"], c["other_passes"]) for name, c in costs.items()}


@pytest.fixture(scope="module")
def alone(environment: dict[str, str]) -> str:
    """Return what the example prints in one process."""
    return printed(f"{shlex.quote(sys.executable)} examples/distributed.py --batch-size 8", environment)


@pytest.mark.slow
@pytest.mark.parametrize("command", EXAMPLE)
def test_the_example_gives_what_one_process_gives(command: str, environment: dict[str, str], alone: str) -> None:
    if "fsdp2" in command and torch.cuda.device_count() < 2:
        pytest.skip("Accelerate shards on accelerators only, and this machine has not two of them")
    ours = printed(command, environment)
    assert "2 processes" in ours
    assert numbers(ours) == pytest.approx(numbers(alone), rel=1e-5)
    assert re.findall("[0-9]+ iterations, merges at .*", ours) == re.findall("[0-9]+ iterations, merges at .*", alone)


@pytest.mark.slow
def test_a_comparison_passes_what_one_process_passes(environment: dict[str, str], tmp_path: Path) -> None:
    (command,) = (c for place, c in commands() if place.startswith("docs/distributed.md") and " run " in c)
    small = shlex.join([*SMALL, "--precision", "fp32"])
    whole, _, out = command.partition(" --out ")
    printed(f"{whole} {small} --out {tmp_path / 'two'}", environment)
    alone = f"{shlex.quote(sys.executable)} {command[command.index('-m') :].partition(' --out ')[0]}"
    printed(f"{alone} {small} --out {tmp_path / 'one'}", environment)
    assert out == "comparison"
    two, one = (passes(tmp_path / name) for name in ("two", "one"))
    assert len(one) == 3
    assert two == one


@pytest.mark.slow
def test_a_killed_process_is_named_by_the_other(environment: dict[str, str], tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    started = []
    for rank in map(str, range(2)):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        with (tmp_path / rank).open("w") as log:
            program = [sys.executable, "examples/distributed.py", "--checkpoints", str(tmp_path / "checkpoints")]
            started.append(subprocess.Popen(program, cwd=ROOT, env={**environment, **place}, stdout=log, stderr=log))
    try:
        until = time.monotonic() + TIMEOUT
        while not list((tmp_path / "checkpoints").glob("*.pt")) and time.monotonic() < until:
            time.sleep(0.02)  # until training has begun
        started[1].send_signal(signal.SIGKILL)
        assert started[0].wait(TIMEOUT) != 0
    finally:
        for process in started:
            process.kill()
    assert f"ended before this one: process 1 (process id {started[1].pid})" in (tmp_path / "0").read_text()
