"""Share a comparison out among several processes on one accelerator, and stop them all after so many minutes.

python -m benchmarks.gpu --data DIR --out results                 # --recipe paper, SmolLM2-135M, order 1
python -m benchmarks.gpu --processes 2 --minutes 2 --out smoke -- --model tiny --device cpu --epochs 1

Everything after -- goes to "python -m avalanche_aim run" as it stands. Each process makes the runs that no other has
claimed, seed by seed; results are on disk as each run ends. When time is up the processes are asked to stop, and save a
checkpoint first, so that the same command resumes. gpu.json names the device, and says how many runs ended and in how
many seconds.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

STRATEGIES = ("naive", "mix-replay", "replay", "alternate", "fixed-interval", "aim")
RECIPE = ("--benchmark", "standard_cl", "--order", "1", "--recipe", "paper", "--device", "cuda")
GRACE = 20
"""Seconds that a process has to save its checkpoint."""


def main(argv: list[str] | None = None) -> int:
    """Start the processes, wait for them, stop them in time; returns 0 if all runs ended."""
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--processes", type=int, default=8, metavar="N", help="side by side (default: 8)")
    p.add_argument("--minutes", type=float, default=9.0, help="stop after so many (default: 9)")
    p.add_argument("--strategies", nargs="+", default=list(STRATEGIES), metavar="NAME")
    p.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    p.add_argument("--data", help="the benchmark's folder, as run has it")
    p.add_argument("--out", type=Path, required=True, help="folder of the results")
    p.add_argument("run", nargs="*", metavar="RUN_ARGUMENT", help="after --: further arguments of run, which win")
    arguments = p.parse_args(argv)
    if arguments.processes < 1 or arguments.minutes <= 0:
        p.error(f"expected 1 process and some minutes at least, got {arguments.processes} and {arguments.minutes}")
    command = [sys.executable, "-m", "avalanche_aim", "run", *RECIPE, "--out", str(arguments.out)]
    command += ["--data", arguments.data] if arguments.data else []
    command += ["--seeds", *map(str, arguments.seeds), "--strategies", *arguments.strategies, *arguments.run]
    began = time.monotonic()
    statuses = side_by_side(command, arguments.processes, 60 * arguments.minutes, arguments.out)
    seconds = time.monotonic() - began
    finished = sum(
        json.loads(file.read_text(encoding="utf-8")).get("status") == "finished"
        for file in arguments.out.glob("runs/*_seed-*.json")
        if not file.name.startswith("history_")
    )
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    summary = {"device": device, "processes": arguments.processes, "seconds": round(seconds), "finished": finished,
               "statuses": statuses, "command": command[1:]}  # fmt: skip
    (arguments.out / "gpu.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print(f"{finished} runs finished in {seconds:.0f} s, {arguments.processes} processes on {device}")
    return int(any(statuses))


def side_by_side(command: list[str], count: int, seconds: float, folder: Path) -> list[int]:
    """Run a command several times at once, and interrupt what is still running when the time is up.

    :param command: the command.
    :param count: how many processes.
    :param seconds: how long they may take.
    :param folder: gets what each of them prints.
    :return: their exit statuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # One thread each: what is left to do on the processor is launching kernels.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    end, processes = time.monotonic() + seconds, []
    for number in range(count):
        with (folder / f"process_{number}.log").open("wb") as log:
            processes.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment))
    while any(process.poll() is None for process in processes) and time.monotonic() < end:
        time.sleep(1)
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return [process.returncode for process in processes]


if __name__ == "__main__":
    raise SystemExit(main())
