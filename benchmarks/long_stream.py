"""Time per iteration in the 15th task against the 2nd.

One strategy stands before its 2nd task, another before its 15th; both then train it again and again in turn, without
adding it to their memories.
"""

from typing import Any

from benchmarks.figures import Figure, Options
from benchmarks.measure import interleaved
from benchmarks.workload import Workload, plugin_of

EARLY, LATE = 2, 15
LIMIT = 1.05


def figures(options: Options) -> list[Figure]:
    """Measure, with AIM and for comparison with Naive.

    :param options: with what to measure.
    """
    work = Workload(options, LATE, iterations=16 if options.is_tiny else 8)
    names = ("aim-paper", "naive")
    functions = {f"{name} {task}": _ready(work, name, task) for name in names for task in (EARLY, LATE)}
    seconds = interleaved(functions, options.repeats(25 if options.is_tiny else 7))

    def ratio(name: str) -> list[float]:
        pair = seconds[f"{name} {LATE}"], seconds[f"{name} {EARLY}"]
        return [late / early for late, early in zip(*pair, strict=True)]

    return [
        Figure(f"AIM paper: an iteration in task {LATE} / in task {EARLY}", ratio("aim-paper"), LIMIT),
        Figure(f"Naive: an iteration in task {LATE} / in task {EARLY}", ratio("naive")),
    ]


def _ready(work: Workload, name: str, number: int) -> Any:
    strategy = work.strategy(name)
    for experience in work.stream[: number - 1]:
        strategy.train(experience)
    if name != "naive":
        plugin_of(strategy).memory.post_adapt = lambda *_: None  # type: ignore[method-assign]
    return lambda: strategy.train(work.stream[number - 1])
