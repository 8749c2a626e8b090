"""OP of the economical preset against the paper preset, on the shipped sample's test data.

Both train the same tasks with the same seeds and the same memory of 8 examples a task.
"""

from avalanche_aim import LanguageModel, standard_cl
from avalanche_aim.experiments.progress import progress_bar
from avalanche_aim.experiments.runner import Settings, examples_of, run
from benchmarks.figures import Figure, Options

LIMIT = 1.0
MEMORY = 8


def figures(options: Options) -> list[Figure]:
    """Run both with several seeds.

    :param options: with what to measure.
    """
    model = LanguageModel.from_pretrained(options.model)
    sizes = {"train_per_task": 32, "eval_per_task": 16} if options.quick else {}
    benchmark = standard_cl(1, model.tokenizer, **sizes)
    scores: dict[str, list[float]] = {"aim": [], "aim-economical": []}
    for seed in range(options.repeats(3, 1)):
        settings = Settings(seed=seed, memory=MEMORY, batch_size=4)
        for name, values in scores.items():
            with progress_bar(examples_of(benchmark, settings)) as bar:
                values.append(run(name, model, benchmark, settings, bar=bar).metrics["OP"])
    below = [paper - economical for paper, economical in zip(scores["aim"], scores["aim-economical"], strict=True)]
    return [
        Figure("OP of paper mode less OP of economical mode", below, LIMIT, " points"),
        Figure("OP of paper mode", scores["aim"]),
        Figure("OP of economical mode", scores["aim-economical"]),
    ]
