"""The time of the plugin's own work as a share of the training time.

Training time is that of the training iterations alone, the passes over the memory left out; of the whole time of
training with AIM the share is less than half as large.
"""

from benchmarks.figures import Figure, Options
from benchmarks.stopwatch import Stopwatch
from benchmarks.workload import Workload

LIMIT, TINY_LIMIT = 1.0, 5.0
"""Percent of training time, for a real model and for a tiny T5 whose step takes 10 ms."""


def figures(options: Options) -> list[Figure]:
    """Measure the model, and a tiny T5.

    :param options: with what to measure.
    """
    limit = TINY_LIMIT if options.is_tiny else LIMIT
    measured = _measure(options, options.model, options.repeats(9), limit)
    if options.model != "tiny-t5":
        measured += _measure(options, "tiny-t5", options.repeats(15), TINY_LIMIT)
    return measured


def _measure(options: Options, model: str, repeats: int, limit: float) -> list[Figure]:
    """Train task after task; the first, without memory, and the second are not measured."""
    work = Workload(options, repeats + 2, model=model)
    strategy = work.strategy("aim-paper")
    for experience in work.stream[:2]:
        strategy.train(experience)
    own: list[float] = []
    drawn: list[float] = []
    step: list[float] = []
    for experience in work.stream[2:]:
        watch = Stopwatch()
        with watch.on(strategy):
            strategy.train(experience)
        training = watch.seconds("training")
        own.append(100 * watch.seconds("own") / training)
        drawn.append(100 * watch.drawing / training)
        step.append(1000 * training / work.iterations)
    name = model.split("/")[-1]
    return [
        Figure(f"own work / training time, {name}", own, limit, " %"),
        Figure(f"drawing the memory batches / training time, {name}", drawn, unit=" %"),
        Figure(f"a training iteration, {name}", step, unit=" ms"),
    ]
