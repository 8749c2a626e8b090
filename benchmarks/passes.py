"""AIM against Naive, against Replay, and against the sum of the passes that the method prescribes.

The method prescribes for each training iteration one historical loss and one memory iteration. These are measured
alone, in a plain loop, and added to Naive's iteration. All contenders train the same tasks in turn, in one process.
"""

import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch

from avalanche_aim import RehearsalMemory
from benchmarks.figures import Figure, Options
from benchmarks.stopwatch import PHASES, Stopwatch
from benchmarks.workload import Workload

PAPER_LIMIT, ECONOMICAL_LIMIT = 1.05, 1.3


def figures(options: Options) -> list[Figure]:
    """Measure; a round is one task of each contender.

    :param options: with what to measure.
    """
    rounds = options.repeats(25 if options.is_tiny else 4)
    work = Workload(options, rounds + 2)
    strategies = {name: work.strategy(name) for name in ("naive", "replay", "aim-paper", "aim-economical")}
    alone = _Alone(work)
    contenders: dict[str, Callable[[Any], None]] = {
        **{name: strategy.train for name, strategy in strategies.items()},
        "monitoring": alone.monitor,
        "memory": alone.fine_tune,
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    shares: dict[str, list[float]] = {phase: [] for phase in PHASES}
    for number, experience in enumerate(work.stream):
        measured = number > 1  # the first task has no memory, the second warms up
        names = list(contenders)
        names = names[number % len(names) :] + names[: number % len(names)]
        for name in names:
            if name in ("monitoring", "memory") and number == 0:
                continue
            watch = Stopwatch()
            start = time.perf_counter()
            if name == "aim-paper":
                with watch.on(strategies[name]):
                    contenders[name](experience)
            else:
                contenders[name](experience)
            if measured:
                seconds[name].append(time.perf_counter() - start)
                if name == "aim-paper":
                    for phase in PHASES:
                        shares[phase].append(watch.seconds(phase))
        alone.memory.post_adapt(None, experience)
    prescribed = [sum(parts) for parts in zip(*(seconds[n] for n in ("naive", "monitoring", "memory")), strict=True)]
    return [
        Figure("AIM paper / prescribed passes", _ratios(seconds["aim-paper"], prescribed), PAPER_LIMIT),
        Figure("AIM economical / Naive", _ratios(seconds["aim-economical"], seconds["naive"]), ECONOMICAL_LIMIT),
        Figure("AIM paper / Naive", _ratios(seconds["aim-paper"], seconds["naive"])),
        Figure("AIM paper / Replay", _ratios(seconds["aim-paper"], seconds["replay"])),
        Figure("Replay / Naive", _ratios(seconds["replay"], seconds["naive"])),
        Figure("prescribed monitoring / Naive", _ratios(seconds["monitoring"], seconds["naive"])),
        Figure("prescribed memory fine-tuning / Naive", _ratios(seconds["memory"], seconds["naive"])),
        *(Figure(f"AIM paper: {phase} / Naive", _ratios(shares[phase], seconds["naive"])) for phase in PHASES),
        Figure("a Naive iteration", [1000 * s / work.iterations for s in seconds["naive"]], unit=" ms"),
    ]


class _Alone:
    """The passes over the memory in a plain loop, as many as a task has iterations."""

    def __init__(self, work: Workload) -> None:
        self.work = work
        self.model = deepcopy(work.model)
        self.memory = RehearsalMemory(2 * work.batch_size)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=5e-4, weight_decay=0.0)
        self.generator = torch.Generator().manual_seed(0)

    def monitor(self, experience: Any) -> None:
        """Take historical losses."""
        self.model.adaptation(experience)
        self.model.eval()
        with torch.no_grad(), self.model.gold_scores():
            for _ in range(self.work.iterations):
                x, y, *_ = self.memory.batch(self.work.batch_size, self.generator)
                float(self.model.criterion(self.model(x), y))

    def fine_tune(self, experience: Any) -> None:
        """Take memory iterations."""
        self.model.adaptation(experience)
        self.model.train()
        for _ in range(self.work.iterations):
            x, y, *_ = self.memory.batch(self.work.batch_size, self.generator)
            self.optimizer.zero_grad()
            self.model.criterion(self.model(x), y).backward()
            self.optimizer.step()


def _ratios(these: list[float], those: list[float]) -> list[float]:
    return [a / b for a, b in zip(these, those, strict=True)]
