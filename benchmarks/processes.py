"""Two processes on two cores against one on one: the same batches, shared out.

Each process has one thread. A repetition is a start of each, which train the same tasks in turn; the first task warms
up and is not measured. What the machine itself gives two processes is measured beside it: two that never talk, each of
which trains half of each batch.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable

from avalanche_aim.distributed import barrier, destroy_process_group, init_process_group
from benchmarks.figures import Figure, Options

LIMIT = 1.5
BATCH_SIZES, ITERATIONS, TASKS = (64, 256), 16, 2
STRATEGIES = ("naive", "aim")
CLOCKS: dict[str, Callable[[], float]] = {
    "wall time": time.perf_counter,
    "processor time": time.process_time,  # says something on a machine that does other things too
}


def figures(options: Options) -> list[Figure]:
    """Start one process and two in turn, for small and for large batches.

    :param options: with what to measure.
    """
    return [figure for size in BATCH_SIZES for figure in _measure(options, size)]


def _measure(options: Options, size: int) -> list[Figure]:
    names = [f"{name}, {clock}" for name in STRATEGIES for clock in CLOCKS]
    together: dict[str, list[float]] = {name: [] for name in names}
    apart: dict[str, list[float]] = {name: [] for name in names if name.endswith("wall time")}
    for _ in range(options.repeats(3, 1)):
        (one,), two, halves = (_seconds(options.model, size, *how) for how in ((1,), (2,), (2, "apart")))
        for found, by in ((together, two), (apart, halves)):
            for name, ratios in found.items():
                ratios += [a / max(b) for a, b in zip(one[name], zip(*(p[name] for p in by), strict=True), strict=True)]
    return [
        *(
            Figure(
                f"one process / two, {name}, batches of {size}",
                ratios,
                LIMIT if name in apart else None,
                at_least=True,
            )
            for name, ratios in together.items()
        ),
        *(
            Figure(f"one process / two that never talk, {name}, batches of {size}", ratios)
            for name, ratios in apart.items()
        ),
    ]


def _seconds(model: str, size: int, processes: int, *apart: str) -> list[dict[str, list[float]]]:
    """Train in some processes, together or apart; seconds of each task, for each process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {**os.environ, "WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
              "OMP_NUM_THREADS": "1"}  # fmt: skip
    program = [sys.executable, "-W", "ignore", "-m", "benchmarks.processes", model, str(size), *apart]
    started = [
        subprocess.Popen(program, env={**shared, "RANK": rank, "LOCAL_RANK": rank}, stdout=subprocess.PIPE, text=True)
        for rank in map(str, range(processes))
    ]
    outputs = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise RuntimeError(f"{processes} processes: expected all to end well, got {[p.returncode for p in started]}")
    return [json.loads(output.splitlines()[-1]) for output in outputs]


def _train(model: str, size: int, apart: bool) -> None:
    from benchmarks.workload import Workload

    init_process_group()
    work = Workload(Options(model), TASKS + 1, ITERATIONS, batch_size=size // 2 if apart else size)
    if apart:  # they begin together
        barrier()
        destroy_process_group()
        os.environ["WORLD_SIZE"] = "1"
    strategies = {name: work.strategy(name) for name in STRATEGIES}
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    for experience in work.stream:
        for name, strategy in strategies.items():
            starts = {clock: read() for clock, read in CLOCKS.items()}
            strategy.train(experience)
            for clock, read in CLOCKS.items():
                seconds[f"{name}, {clock}"].append(read() - starts[clock])
    print(json.dumps({name: found[1:] for name, found in seconds.items()}))
    destroy_process_group()


if __name__ == "__main__":
    _train(sys.argv[1], int(sys.argv[2]), "apart" in sys.argv[3:])
