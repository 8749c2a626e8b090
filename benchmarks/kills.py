"""Kill a run again and again, let it resume each time, and compare its end with a run that was never killed.

python -m benchmarks.kills              # 20 times SIGKILL; a minute or two
python -m benchmarks.kills --kills 3 --seed 7

The run trains a tiny causal model with LoRA, dropout and AIM on six tasks, evaluates after each, and saves a
checkpoint every other iteration. It is killed at random iterations, in the middle of a merge, of a save (which leaves
half a file) and of an evaluation, and at random times. Each process is forked from one that has only imported modules,
and resumes from what it finds on disk. At the end the weights, the R matrix, the history, the rehearsed rows and the
random streams must be the same to the bit.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TextIO

import torch
from avalanche.training.plugins import SupervisedPlugin

from avalanche_aim import AIMMergingPlugin, CheckpointPlugin, LanguageModel, RehearsalMemory
from avalanche_aim.checkpoint import folder as files
from avalanche_aim.evaluation import ResultMatrix
from avalanche_aim.experiments import Settings
from avalanche_aim.experiments.runner import make_strategy
from benchmarks.resumed import OUTCOME, different, finish, fork, outcome
from benchmarks.workload import even_stream

KINDS = {"an iteration": 9, "a merge": 4, "a save": 3, "an evaluation": 2, "a random time": 2}
"""What is interrupted, and its share of the kills."""
TASKS, ITERATIONS, BATCH_SIZE = 6, 64, 4


def main(argv: list[str] | None = None) -> int:
    """Run, kill, compare; returns 0 if all is the same."""
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.kills", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--kills", type=int, default=20, help="how often to kill (default: 20)")
    p.add_argument("--seed", type=int, default=0, help="of when to kill")
    arguments = p.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        killed, whole = Path(folder) / "killed", Path(folder) / "whole"
        done = kill_often(killed, arguments.kills, random.Random(arguments.seed))
        for run in (killed, whole):
            process, said = start(run, "nothing", 0)
            said.read()
            process.join()
        ends = [outcome(run) for run in (killed, whole)]
    differs = different(ends)
    for kind in KINDS:
        print(f"killed in {kind}: {done[kind]}")
    print(f"killed {done.total()} times in all, of {arguments.kills} asked for; the run has {ends[1]['iterations']} "
          f"iterations, {ends[1]['merges']} merges and {ends[1]['evaluations']} evaluations")  # fmt: skip
    print(f"R: {ends[0]['r']}")
    print(f"different from the uninterrupted run: {differs}")
    return int(differs != "nothing" or done.total() < arguments.kills)


def kill_often(folder: Path, kills: int, chance: random.Random) -> Counter[str]:
    """Start the run and kill it, again and again; returns how often it died in what."""
    kinds = [kind for kind, share in KINDS.items() for _ in range(share)]
    chance.shuffle(kinds)
    done: Counter[str] = Counter()
    while done.total() < kills and not (folder / OUTCOME).exists():
        kind = kinds[done.total() % len(kinds)]
        at = {"a merge": 1, "a save": chance.randint(2, 4), "an evaluation": chance.randint(1, 4)}.get(
            kind, chance.randint(3, 7)
        )
        process, said = start(folder, kind, at)
        last = said.readline().strip()  # training has begun
        if kind == "a random time":
            time.sleep(chance.uniform(0.0, 1.0))
            process.kill()
        for line in said:
            last = line.strip()
        process.join()
        if process.exitcode != -signal.SIGKILL:
            print(f"a process ended by itself with status {process.exitcode}, after: {last}", file=sys.stderr)
            break
        done[kind] += 1
        print(f"{done.total()}. killed in {kind}: {last}", file=sys.stderr, flush=True)
    return done


def start(folder: Path, kind: str, at: int) -> tuple[BaseProcess, TextIO]:
    """Start or resume the run in a process that kills itself in the ``at``-th occurrence of something.

    Returns the process, and what it says it does.
    """
    reading, writing = os.pipe()
    process = fork(train, folder, Killer(kind, at, writing))
    os.close(writing)
    return process, open(reading)


class Killer:
    """Says what the process does, and kills it in the middle of the n-th time that it does one thing."""

    def __init__(self, kind: str, at: int, said: int) -> None:
        self.kind, self.left, self.said = kind, at, said

    def does(self, kind: str, where: str = "") -> bool:
        """Say so; returns whether to die now."""
        os.write(self.said, f"{kind} {where}\n".encode())
        self.left -= kind == self.kind
        return kind == self.kind and self.left <= 0

    def die(self) -> None:
        """As if the machine were taken away."""
        os.kill(os.getpid(), signal.SIGKILL)


class Dying(SupervisedPlugin):
    """Dies between the forward and the backward pass, and between two batches of an evaluation."""

    def __init__(self, killer: Killer) -> None:
        super().__init__()
        self.killer = killer

    def before_backward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Die, if it is time."""
        if self.killer.does("an iteration", str(strategy.clock.train_iterations)):
            self.killer.die()

    def after_eval_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Die, if it is time."""
        if self.killer.does("an evaluation", f"after {strategy.clock.train_iterations} iterations"):
            self.killer.die()

    def state_dict(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Do nothing."""


def train(folder: Path, killer: Killer) -> None:
    """Train what is left of the run, and write what came of it."""
    warnings.simplefilter("ignore")
    write = files.write_atomically

    def dying_write(path: Path, content: memoryview) -> None:
        if killer.does("a save", path.name):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(f".{path.name}.half").write_bytes(content[: len(content) // 2])
            killer.die()
        write(path, content)

    files.write_atomically = dying_write  # type: ignore[assignment]

    model = LanguageModel.from_pretrained("tiny")
    stream = even_stream(model.tokenizer, TASKS, ITERATIONS * BATCH_SIZE, 16)
    aim = AIMMergingPlugin("paper", memory=RehearsalMemory(8), rehearsal={"monitor": "train"})
    fine_tuning, step = aim.rehearsal.fine_tune, model.forward

    def dying_fine_tune(*args: Any) -> list[float]:
        if not killer.does("a merge"):
            return fine_tuning(*args)
        passes = iter(range(1))  # dies in the second

        def forward(x: torch.Tensor) -> torch.Tensor:
            if next(passes, None) is None:
                killer.die()
            return step(x)

        model.forward = forward  # type: ignore[method-assign]
        return fine_tuning(*args)

    aim.rehearsal.fine_tune = dying_fine_tune  # type: ignore[method-assign]
    checkpoint = CheckpointPlugin(folder / "checkpoints", every=2, minutes=None)
    matrix = ResultMatrix()
    settings = Settings(batch_size=BATCH_SIZE, eval_batch_size=2, learning_rate=5e-3, schedule="cosine", warmup=4)
    torch.manual_seed(0)
    strategy = make_strategy(model, settings, 0, [matrix], plugins=[aim, checkpoint, Dying(killer)])
    os.write(killer.said, b"begin\n")
    finish(strategy, checkpoint, stream, matrix, folder)


if __name__ == "__main__":
    raise SystemExit(main())
