"""The command line that the benchmark examples share."""

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from avalanche.benchmarks import CLScenario

from ..memory import RehearsalMemory
from ..text import DEFAULT_MODEL, LanguageModel
from .output import draw_results, write_results
from .runner import Result, Settings, run
from .single_task import single_task_scores
from .strategies import STRATEGIES, check_strategies
from .tables import results_table


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the example's own lines, and shows defaults."""


PRECISIONS = {"bf16": torch.bfloat16, "fp32": None}


def parser(
    description: str, orders: str, first_order: str = "1", sample: bool = True, max_prompt_tokens: int = 512
) -> argparse.ArgumentParser:
    """Make the command line of a benchmark example.

    :param description: what the example shows.
    :param orders: which orders there are, for the help text.
    :param first_order: the default order.
    :param sample: whether the shipped sample can stand in for the benchmark's files.
    :param max_prompt_tokens: the default length at which prompts are shortened.
    """
    p = argparse.ArgumentParser(description=description, formatter_class=_Help)
    if sample:
        p.add_argument("--data", default="sample", help='"sample", "hub", or a folder in any layout of docs/data.md')
    else:
        p.add_argument("--data", required=True, help='"hub", or a folder in any layout of docs/data.md')
    p.add_argument("--order", default=first_order, help=f"{orders}; an order's name; or tasks, separated by commas")
    p.add_argument("--model", default=DEFAULT_MODEL, help='a Hugging Face id, a folder, "tiny" or "tiny-t5"')
    p.add_argument("--strategies", nargs="+", default=["naive", "replay", "aim"], metavar="NAME",
                   help=f"what to compare: {', '.join(STRATEGIES)}")  # fmt: skip
    p.add_argument("--seed", "--seeds", nargs="+", type=int, default=[0], dest="seeds", metavar="N", help="seeds")
    p.add_argument("--epochs", type=int, default=1, help="passes over each task's training data")
    p.add_argument("--batch-size", type=int, default=8, help="training examples of an iteration")
    p.add_argument("--learning-rate", type=float, default=Settings.learning_rate, help="of AdamW")
    p.add_argument("--memory", type=_memory, default=0.02,
                   help="rehearsed of each past task: a fraction (0.02) or a count (8)")  # fmt: skip
    p.add_argument("--train-per-task", type=int, metavar="N", help="training examples a task; all by default")
    p.add_argument("--eval-per-task", type=int, metavar="N", help="evaluated examples a task; all by default")
    p.add_argument("--stream", choices=["test", "dev"], default="test", help="what to evaluate on")
    p.add_argument("--fwt", action="store_true",
                   help="report forward transfer too: each task is trained on alone, once")  # fmt: skip
    p.add_argument("--max-prompt-tokens", type=int, default=max_prompt_tokens,
                   help="longer prompts are shortened in the middle")  # fmt: skip
    p.add_argument("--precision", choices=list(PRECISIONS), default="bf16", help="bf16 is autocast, weights stay fp32")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="where to train")
    p.add_argument("--out", type=Path, default=Path("results"), help="folder for results, histories and plots")
    return p


def compare(
    make_benchmark: Callable[..., CLScenario], command: argparse.ArgumentParser, argv: Sequence[str] | None
) -> int:
    """Run the comparison that the command line asks for, and print its table.

    :param make_benchmark: ``standard_cl`` or a function like it.
    :param command: from :func:`parser`.
    :param argv: the arguments, or None for the process's own.
    :return: the exit status.
    """
    arguments = command.parse_args(argv)
    # Both speak to the authors of those libraries, not to whoever reads a progress bar.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="avalanche")
    try:
        loaded, benchmark, settings = _prepare(make_benchmark, arguments)
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        print(f"{command.prog}: {error}", file=sys.stderr)
        return 2
    configuration = {key: value if isinstance(value, (int, float, list)) else str(value)
                     for key, value in vars(arguments).items()}  # fmt: skip
    results: list[Result] = []
    model: LanguageModel | None = loaded
    del loaded
    for seed in dict.fromkeys(arguments.seeds):
        model = model or _load(arguments, seed)
        seeded = replace(settings, seed=seed)
        single = single_task_scores(model, benchmark, seeded) if arguments.fwt else None
        for name in check_strategies(arguments.strategies):
            results.append(run(name, model, benchmark, seeded, single=single))
            write_results(results, arguments.out, configuration)
        model = None  # one backbone in memory at a time
    files = draw_results(results, arguments.out)
    print(f"\n{_caption(benchmark)} after the last task ({arguments.stream} split); {_transfers(arguments.fwt)}.\n")
    print(results_table(results))
    plots = ", ".join(file.name for file in files) or "no plots, for which matplotlib is needed"
    print(f"\nWritten to {arguments.out}: results.json, R_*.csv, history_*, {plots}")
    return 0


def _prepare(
    make_benchmark: Callable[..., CLScenario], arguments: argparse.Namespace
) -> tuple[LanguageModel, CLScenario, Settings]:
    """Check everything that can be checked before training starts."""
    for name, value in (("--epochs", arguments.epochs), ("--batch-size", arguments.batch_size)):
        if value < 1:
            raise ValueError(f"{name}: expected 1 or more, got {value}")
    if not arguments.learning_rate > 0:
        raise ValueError(f"--learning-rate: expected a positive number, got {arguments.learning_rate}")
    check_strategies(arguments.strategies)
    RehearsalMemory(arguments.memory)
    order: Any = [name.strip() for name in arguments.order.split(",")] if "," in arguments.order else arguments.order
    model = _load(arguments, arguments.seeds[0])
    benchmark = make_benchmark(
        order=order,
        tokenizer=model.tokenizer,
        data=arguments.data,
        train_per_task=arguments.train_per_task,
        eval_per_task=arguments.eval_per_task,
        max_prompt_tokens=arguments.max_prompt_tokens,
    )
    if arguments.stream not in benchmark.streams:
        raise ValueError(
            f"--stream: some task has no {arguments.stream} split; there are {', '.join(benchmark.streams)}"
        )
    if benchmark.truncated:
        print(f"{benchmark.truncated} prompts are longer than {arguments.max_prompt_tokens} tokens and were shortened.")
    torch.empty(0, device=arguments.device)  # an unknown device is an error now, not after the first task
    settings = Settings(
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        memory=arguments.memory,
        device=arguments.device,
        stream=arguments.stream,
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    return model, benchmark, settings


def _caption(benchmark: CLScenario) -> str:
    metrics = {experience.task.metric for experience in benchmark.train_stream}
    names = {"exact_match": "Exact match", "rouge_l": "ROUGE-L"}
    return f"{' or '.join(names[name] for name in sorted(metrics))} in percent"


def _transfers(fwt: bool) -> str:
    definitions = "BWT is Σ (R[T−1][j] − R[j][j]) / (T−1)"
    return f"{definitions}, FWT the mean of R[j][j] − b_j, b_j trained on task j alone" if fwt else definitions


def _load(arguments: argparse.Namespace, seed: int) -> LanguageModel:
    # On a CPU torch's fused attention is the slower one: 6.0 s against 3.5 s a training step of 8 x 160 tokens with
    # SmolLM2-135M in bf16, one thread, torch 2.14. But plain attention keeps all its scores: 14 GB at 8 x 512 tokens.
    plain = arguments.device.startswith("cpu") and arguments.max_prompt_tokens <= 256
    attention: dict[str, Any] = {"attn_implementation": "eager"} if plain else {}
    precision = PRECISIONS[arguments.precision]
    return LanguageModel.from_pretrained(arguments.model, seed=seed, autocast=precision, **attention)


def _memory(text: str) -> float | int:
    return int(text) if text.lstrip("-").isdigit() else float(text)
