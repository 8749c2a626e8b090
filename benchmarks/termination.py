"""Send SIGTERM to a run on a real model, let it resume, and compare its end with a run that was left alone.

python -m benchmarks.termination                  # SmolLM2-135M; some minutes
python -m benchmarks.termination --model tiny

The run trains a causal model with LoRA, dropout and AIM on two tasks, and evaluates after each. SIGTERM comes once,
after the first merge, between a forward and a backward pass. At the end the weights, the R matrix, the history, the
rehearsed rows and the random streams must be the same to the bit. The run that is left alone saves a checkpoint every
other iteration, which says what one costs.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median
from typing import Any

import torch
from avalanche.training.plugins import SupervisedPlugin

from avalanche_aim import AIMMergingPlugin, CheckpointPlugin, LanguageModel, RehearsalMemory
from avalanche_aim.evaluation import ResultMatrix
from avalanche_aim.experiments import Settings
from avalanche_aim.experiments.runner import make_strategy
from avalanche_aim.merging import FixedInterval
from avalanche_aim.text.model.sources import DEFAULT_MODEL
from benchmarks.figures import machine
from benchmarks.resumed import different, finish, fork, outcome
from benchmarks.workload import even_stream

TASKS, ITERATIONS, BATCH_SIZE, PROMPT_TOKENS = 2, 8, 2, 48
INTERVAL, AT = 3, 12
"""Iterations from merge to merge, and until SIGTERM: in the second task, after its first merge."""
SAVES = "saves.json"


def main(argv: list[str] | None = None) -> int:
    """Run, terminate, compare; returns 0 if all is the same."""
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.termination",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--model", default=DEFAULT_MODEL, help='a model folder or id, or "tiny"')
    arguments = p.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        ended, whole = Path(folder) / "ended", Path(folder) / "whole"
        status = []
        for run, at, every in ((ended, AT, None), (ended, None, None), (whole, None, 2)):
            run.mkdir(exist_ok=True)
            process = fork(train, run, arguments.model, at, every)
            process.join()
            status.append(process.exitcode)
        if status[1:] != [0, 0]:
            print(f"expected the run to resume and end, got exit status {status[1:]}", file=sys.stderr)
            return 1
        ends = [outcome(run) for run in (ended, whole)]
        saves = json.loads((whole / SAVES).read_text())
    print(f"{arguments.model}; {machine()}")
    print(
        f"SIGTERM in iteration {AT + 1} of {ends[1]['iterations']}, {ends[1]['merges']} merges: exit status {status[0]}"
    )
    for name, experience in (("an empty", 0), ("a full", 1)):
        print(f"a checkpoint with {name} memory: {max(b for e, b, *_ in saves if e == experience) / 1e6:.1f} MB")
    for name, seconds in (("wall", [s[2] for s in saves]), ("processor", [s[3] for s in saves])):
        middle, most = median(seconds), max(seconds)
        print(f"saving, {name} time: {middle:.3f} s, {most:.3f} at most of {len(saves)} times: {middle / 0.6:.2f} and "
              f"{most / 0.6:.2f} % of a minute of training")  # fmt: skip
    print(f"R: {ends[0]['r']}")
    differs = different(ends)
    print(f"different from the uninterrupted run: {differs}")
    return int(differs != "nothing" or status[0] != 128 + signal.SIGTERM)


class Sender(SupervisedPlugin):
    """Sends its own process SIGTERM between a forward and the backward pass.

    :param at: in which iteration, from 0; None for never.
    """

    def __init__(self, at: int | None) -> None:
        super().__init__()
        self.at = at

    def before_backward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Send it, if it is time."""
        if strategy.clock.train_iterations == self.at:
            os.kill(os.getpid(), signal.SIGTERM)

    def state_dict(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Do nothing."""


class Measured(CheckpointPlugin):
    """Keeps of each checkpoint the experience, its bytes, and how long saving it took: wall and processor time."""

    saves: list[tuple[int, int, float, float]]

    def _save(self, strategy: Any, *args: Any) -> None:
        wall, processor = time.perf_counter(), time.process_time()
        super()._save(strategy, *args)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        newest = max(self.folder.path.glob("checkpoint-*"))
        size = newest.stat().st_size
        self.saves.append((strategy.experience.current_experience, size, wall, processor))


def train(folder: Path, name: str, at: int | None, every: int | None) -> None:
    """Train what is left of the run, and write what came of it, and what its checkpoints cost."""
    warnings.simplefilter("ignore")
    model = LanguageModel.from_pretrained(name)
    stream = even_stream(model.tokenizer, TASKS, ITERATIONS * BATCH_SIZE, PROMPT_TOKENS)
    aim = AIMMergingPlugin(
        "paper", schedule=FixedInterval(INTERVAL), memory=RehearsalMemory(4), rehearsal={"monitor": "train"}
    )
    checkpoint = Measured(folder / "checkpoints", every=every)
    checkpoint.saves = []
    matrix = ResultMatrix()
    settings = Settings(batch_size=BATCH_SIZE, eval_batch_size=2, schedule="cosine", warmup=2)
    torch.manual_seed(0)
    strategy = make_strategy(model, settings, 0, [matrix], plugins=[aim, checkpoint, Sender(at)])
    finish(strategy, checkpoint, stream, matrix, folder)
    (folder / SAVES).write_text(json.dumps(checkpoint.saves))


if __name__ == "__main__":
    raise SystemExit(main())
