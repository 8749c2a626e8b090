"""OP of the economical preset against the paper preset, on the shipped sample's test data.

Both train the same tasks with the same seeds and the same memory of 8 examples a task: the README's comparison.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from avalanche_aim.experiments import Comparison, Configuration
from benchmarks.figures import Figure, Options

LIMIT = 1.0
MEMORY = 8


def figures(options: Options) -> list[Figure]:
    """Run both with several seeds.

    :param options: with what to measure.
    """
    configuration = Configuration(
        model=options.model,
        strategies=("aim", "aim-economical"),
        seeds=tuple(range(options.repeats(3, 1))),
        memory=MEMORY,
        max_prompt_tokens=160,
        train_per_task=32 if options.quick else None,
        eval_per_task=16 if options.quick else None,
    )
    with TemporaryDirectory() as folder:
        comparison = Comparison(configuration, Path(folder))
        comparison.run()
    paper, economical = (
        [result.metrics["OP"] for result in comparison.results if result.strategy == name]
        for name in configuration.strategies
    )
    return [
        Figure("OP of paper mode less OP of economical mode", [p - e for p, e in zip(paper, economical, strict=True)],
               LIMIT, " points"),
        Figure("OP of paper mode", paper),
        Figure("OP of economical mode", economical),
    ]  # fmt: skip
