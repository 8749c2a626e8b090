"""``run``: compare strategies on a benchmark. The benchmark examples share this command line."""

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from ..distributed import destroy_process_group, init_process_group, is_main_process
from ..experiments.comparison import Checkpoints, Comparison
from ..experiments.configuration import BENCHMARKS, PRECISIONS, Configuration
from ..experiments.settings_file import read_yaml
from ..experiments.strategies import STRATEGIES
from ..report.results_table import results_table
from ..report.run_plots import draw_results

DEFAULTS = Configuration()
INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""
RUN = """Compare strategies on a benchmark: every strategy with every order and seed.

Each run is on disk as soon as it has ended. The same command again goes on where it stopped, and a run that failed is
tried again."""


def main(argv: Sequence[str]) -> int:
    """Compare strategies on a benchmark.

    :param argv: the arguments.
    :return: the exit status of :func:`compare`.
    """
    p = parser(RUN, "by number: 1 to 3 of standard_cl, 4 to 6 of long_sequence, 1 and 2 of superni")
    p.prog = "avalanche_aim run"
    return compare(p, argv)


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the example's own lines, and shows defaults."""


def parser(description: str, orders: str, **defaults: Any) -> argparse.ArgumentParser:
    """Make the command line of a comparison, one argument a field of :class:`Configuration`.

    :param description: what it shows.
    :param orders: which orders there are, for the help text.
    :param defaults: fields of :class:`Configuration` whose default is another here. Where ``benchmark`` is not among
        them, it is an argument too.
    """
    p = argparse.ArgumentParser(description=description, formatter_class=_Help)
    add = p.add_argument
    add("--config", type=Path, metavar="YAML",
        help="a file that gives any of these settings by name (batch_size: 4); those given here win")  # fmt: skip
    if "benchmark" not in defaults:
        add("--benchmark", choices=list(BENCHMARKS), help="whose tasks and orders")
    # Without defaults here, since they depend on the benchmark, which may come from a file.
    has_sample = defaults.get("benchmark", "standard_cl") == "standard_cl"
    sample = '"sample" (the default of standard_cl), ' if has_sample else ""
    hub = "" if defaults.get("benchmark") == "superni" else '"hub" (but for superni), or '
    add("--data", default=argparse.SUPPRESS, help=f"{sample}{hub}a folder in any layout of docs/data.md")
    add("--order", "--orders", nargs="+", dest="orders", metavar="ORDER", default=argparse.SUPPRESS,
        help=f"{orders}; an order's name; or tasks, separated by commas; the first by default")  # fmt: skip
    add("--model", help='a Hugging Face id, a folder, "tiny" or "tiny-t5"')
    add("--strategies", nargs="+", metavar="NAME", help=f"what to compare: {', '.join(STRATEGIES)}")
    add("--seed", "--seeds", nargs="+", type=int, dest="seeds", metavar="N", help="seeds")
    add("--epochs", type=int, help="passes over each task's training data")
    add("--batch-size", type=int, help="training examples of an iteration, of all processes together")
    add("--learning-rate", type=float, help="of AdamW")
    add("--memory", type=memory_size, help="rehearsed of each past task: a fraction (0.02) or a count (8)")
    add("--train-per-task", type=int, metavar="N", help="training examples a task; all by default")
    add("--eval-per-task", type=int, metavar="N", help="evaluated examples a task; all by default")
    add("--stream", choices=["test", "dev"], help="what to evaluate on")
    add("--fwt", action=argparse.BooleanOptionalAction,
        help="report forward transfer too: each task is trained on alone, once")  # fmt: skip
    add("--max-prompt-tokens", type=int, help="longer prompts are shortened in the middle")
    add("--precision", choices=list(PRECISIONS), help="bf16 and fp16 are autocast, weights stay fp32")
    add("--micro-batch-size", type=int, metavar="N",
        help="examples that pass through the model at a time (the same batch in less memory)")  # fmt: skip
    add("--max-grad-norm", type=float, metavar="NORM", help="clip the training gradients; not clipped by default")
    add("--schedule", help="of the learning rate over each task: constant, linear, cosine, … (those of Transformers)")
    add("--warmup", type=int, metavar="N", help="iterations of each task over which the learning rate rises")
    add("--gradient-checkpointing", action=argparse.BooleanOptionalAction,
        help="compute activations anew in the backward pass: less memory, more time")  # fmt: skip
    add("--device", help="where to train")
    add("--strict", action=argparse.BooleanOptionalAction, help="a trap in the data is an error, not a warning")
    add("--save-models", action=argparse.BooleanOptionalAction,
        help="keep each run's trained adapter too, in OUT/models, for peft and others")  # fmt: skip
    add("--options", type=plain_data, metavar="JSON",
        help='further arguments of strategies: {"ewc": {"ewc_lambda": 10}}')  # fmt: skip
    add("--checkpoint-every", type=int, metavar="N", help="save an unfinished run every N iterations too")
    add("--checkpoint-minutes", type=float, metavar="MINUTES", default=Checkpoints.minutes,
        help="save an unfinished run so often; a rerun goes on there")  # fmt: skip
    add("--out", type=Path, default=Path("results"),
        help="folder for results, histories and plots; a rerun goes on, and commands at once share it")  # fmt: skip
    shown = {f.name: getattr(DEFAULTS, f.name) for f in fields(DEFAULTS) if f.name not in ("data", "orders")}
    p.set_defaults(**{**shown, **defaults})
    return p


def configured(p: argparse.ArgumentParser, argv: Sequence[str] | None) -> tuple[Configuration, argparse.Namespace]:
    """Parse a command line.

    :param p: from :func:`parser`.
    :param argv: the arguments, or None for the process's own.
    :return: the configuration, and all arguments, such as ``out``.
    :raises ValueError: for a value out of range, or a configuration file with something else in it.
    """
    arguments, _ = p.parse_known_args(argv)
    if arguments.config is not None:
        p.set_defaults(**read_yaml(arguments.config))
    arguments = p.parse_args(argv)
    names = {field.name for field in fields(Configuration)}
    values = {name: value for name, value in vars(arguments).items() if name in names}
    return Configuration.of(values), arguments


def compare(p: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Run the comparison that the command line asks for, and print its table.

    :param p: from :func:`parser`.
    :param argv: the arguments, or None for the process's own.
    :return: the exit status: 0, 1 if a run failed or something could not be written, 2 if nothing could be run, or 130
        if it was interrupted.
    """
    # Both speak to the authors of those libraries, not to whoever reads a progress bar.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="avalanche")
    try:
        return _compare(p, argv)
    except KeyboardInterrupt:
        print(f"{p.prog}: interrupted; every run that had ended is kept, the same command goes on", file=sys.stderr)
        return INTERRUPTED


def _compare(p: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    try:
        configuration, arguments = configured(p, argv)
        init_process_group()
        out = arguments.out
        check_device(configuration.device)  # an unknown device is an error now, not after the first task
        checkpoints = Checkpoints(arguments.checkpoint_every, arguments.checkpoint_minutes)
        comparison = Comparison(configuration, out, checkpoints)
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        print(f"{p.prog}: {error}", file=sys.stderr)
        return 2
    if not is_main_process():
        warnings.simplefilter("ignore")  # the first process says it
    for order, stream in comparison.streams.items():
        if stream.truncated and is_main_process():
            limit = configuration.max_prompt_tokens
            print(f"Order {order}: {stream.truncated} prompts are longer than {limit} tokens and were shortened.")
    comparison.run()
    if is_main_process():
        _show(comparison, out)
    destroy_process_group()
    for problem in comparison.problems:
        print(f"{p.prog}: {problem}", file=sys.stderr)
    return int(bool(comparison.failures or comparison.problems))


def _show(comparison: Comparison, out: Path) -> None:
    for failure in comparison.failures:
        print(f"{failure.key} failed: {failure.error}")
    if comparison.elsewhere:
        print(f"Other commands are still making {len(comparison.elsewhere)} of these runs in {out}; once they have "
              f"ended, python -m avalanche_aim report {out} shows all.")  # fmt: skip
    if not comparison.results:
        return
    configuration = comparison.configuration
    for order in configuration.orders:
        results = [result for result in comparison.results if result.order == order]
        if results:
            print(f"\nOrder {order}: score in percent after the last task ({configuration.stream} split); "
                  f"{_definitions(configuration.fwt)}.\n\n{results_table(results)}")  # fmt: skip
    try:
        files = draw_results(comparison.results, out)
    except OSError as error:
        comparison.problems.append(f"not all plots are written: {error}")
        return
    plots = ", ".join(file.name for file in files)
    models = "models/, " if configuration.save_models else ""
    print(f"\nWritten to {out}: results.json, runs/, {models}{plots}")


def _definitions(fwt: bool) -> str:
    bwt = "BWT is Σ (R[T−1][j] − R[j][j]) / (T−1)"
    return f"{bwt}, FWT the mean of R[j][j] − b_j, b_j trained on task j alone" if fwt else bwt


def check_device(device: str) -> None:
    """Refuse a device that holds no tensors here.

    :param device: its name.
    :raises ValueError: if it is unknown, or torch can't use it.
    """
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, ValueError, ImportError) as error:  # of a kind that depends on the device
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"device: expected one that torch can use here, such as cpu, got {device!r:.80} ({reason:.300})"
        ) from error


def plain_data(text: str) -> Any:
    """Read JSON.

    :param text: as it stands on the command line.
    :raises ValueError: for anything else.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("expected JSON, got thousands of brackets") from error


def memory_size(text: str) -> float | int:
    """Read the size of a memory: a count if it is written as one, else a fraction.

    :param text: "8" or "0.02".
    """
    return int(text) if text.lstrip("-").isdigit() else float(text)
