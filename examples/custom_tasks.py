"""Tasks of your own: a stream from Python lists, trained with AIMMerging, with signals and merges at hand.

python examples/custom_tasks.py               # a tiny random model: shows how it is wired, in seconds
python examples/custom_tasks.py --model DIR   # any causal or T5-like model
"""

import argparse

import torch
from avalanche.logging import InteractiveLogger
from avalanche.training import Naive
from avalanche.training.plugins import EvaluationPlugin

from avalanche_aim import AIMMergingPlugin, LanguageModel, TextTask, text_benchmark
from avalanche_aim.evaluation import ResultMatrix, text_metrics


def make_tasks() -> list[TextTask]:
    """Two small classification tasks; any list of (prompt, answer) pairs will do."""
    colours = {"grass": "green", "a ripe tomato": "red", "the sky at noon": "blue", "snow": "white"}
    sizes = {"an ant": "small", "a mouse": "small", "an elephant": "large", "a whale": "large"}
    colour_pairs = [(f"What colour is {thing}?\nAnswer:", answer) for thing, answer in colours.items()]
    size_pairs = [(f"Is {thing} small or large?\nAnswer:", answer) for thing, answer in sizes.items()]
    return [
        TextTask.from_lists("colours", train=colour_pairs * 8, test=colour_pairs),
        TextTask.from_lists("sizes", train=size_pairs * 8, test=size_pairs),
    ]


def main(argv: list[str] | None = None) -> int:
    """Train on both tasks and print what the plugin did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny", help="a Hugging Face id, a folder, or tiny")
    arguments = parser.parse_args(argv)

    torch.manual_seed(0)
    model = LanguageModel.from_pretrained(arguments.model, lora=arguments.model != "tiny")
    benchmark = text_benchmark(make_tasks(), model.tokenizer)
    aim = AIMMergingPlugin(memory=8)
    strategy = Naive(
        model=model,
        optimizer=torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0),
        criterion=model.criterion,
        train_mb_size=4,
        train_epochs=3,
        eval_mb_size=8,
        plugins=[aim],
        evaluator=EvaluationPlugin(*text_metrics(), loggers=[InteractiveLogger()]),
    )
    for experience in benchmark.train_stream:
        strategy.train(experience)
        strategy.eval(benchmark.test_stream)

    for merge in aim.history.merges:
        print(
            f"merge at iteration {merge.iteration} of task {merge.experience}: {merge.reason} after {merge.elapsed} "
            f"iterations, α₁ {merge.alpha_new:.2f}, memory loss {merge.memory_loss_before:.2f} → "
            f"{merge.memory_loss_after:.2f}, next interval {merge.next_interval}"
        )
    matrix = next(metric for metric in strategy.evaluator.metrics if isinstance(metric, ResultMatrix))
    print("R =", matrix.rows)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
