"""``run``: compare strategies on a benchmark. The benchmark examples share this command line."""

import argparse
import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..distributed import destroy_process_group, init_process_group, is_main_process, world_size
from ..evaluation.general import reasons
from ..experiments.comparison import Checkpoints, Comparison, Executor, one_after_the_other
from ..experiments.configuration import Configuration, Settings
from ..experiments.models import kind_of
from ..experiments.recipes import RECIPES
from ..experiments.result import not_measured
from ..experiments.settings import add_arguments, settings_of
from ..experiments.strategies import strategy_names
from ..report.results_table import results_table
from ..report.run_plots import draw_results
from ..storage.yaml_file import read_yaml
from .warned import above_the_bar, leave_out_others

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""
RUN = """Compare strategies on a benchmark: every strategy with every order and seed.

Each run is on disk as soon as it has ended. The same command again goes on where it stopped, and a run that failed is
tried again."""


class Parser(argparse.ArgumentParser):
    """The command line of a comparison: one argument for each setting of :class:`Configuration`, and a few others.

    :param defaults: settings whose default is another here; ``benchmark`` can't be given if it is among them.
    """

    def __init__(self, description: str, declared: type[Configuration] = Configuration, out: str = "results",
                 **defaults: Any) -> None:  # fmt: skip
        super().__init__(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        self.declared, self.defaults = declared, defaults
        shared = {f.name for f in fields(Settings)}
        names = [name for name in settings_of(declared) if name != "benchmark" or name not in defaults]
        what = self.add_argument_group("what to compare")
        add_arguments(what, declared, [name for name in names if name not in shared], defaults)
        training = self.add_argument_group("how to train and measure")
        training.add_argument("--recipe", choices=list(RECIPES), default=argparse.SUPPRESS,
            help="settings by the name of a recipe (docs/comparisons.md); those given besides win")  # fmt: skip
        add_arguments(training, declared, [name for name in names if name in shared], defaults)
        add = self.add_argument_group("files").add_argument
        add("--config", type=Path, metavar="YAML",
            help="a file that gives any of these settings by name (batch_size: 4); those given here win")  # fmt: skip
        add("--plugins", nargs="+", type=Path, default=[], metavar="FILE",
            help="Python files to run first, which add strategies of your own (docs/extending.md)")  # fmt: skip
        add("--checkpoint-every", type=int, metavar="N", help="save an unfinished run every N iterations too")
        add("--checkpoint-minutes", type=float, metavar="MINUTES", default=Checkpoints.minutes,
            help="save an unfinished run so often; a rerun goes on there (default: %(default)s)")  # fmt: skip
        add("--out", type=Path, default=Path(out),
            help="folder for results, histories and plots; a rerun goes on, and commands at once share it "
            "(default: %(default)s)")  # fmt: skip
        add = self.add_argument_group("many runs at a time (docs/cluster.md)").add_argument
        add("--ray", nargs="?", const="", metavar="ADDRESS",
            help="make the runs on the Ray cluster at this address (host:6379), or auto for the one of this machine; "
            "without an address that of RAY_ADDRESS, or one that is started here")  # fmt: skip
        add("--runs-per-gpu", type=int, metavar="N", help="with --ray, runs that share a GPU (default: 1)")

    def format_help(self) -> str:
        """Return the help; the strategies are listed at its end."""
        self.epilog = f"strategies: {', '.join(strategy_names())}"
        return super().format_help()

    def configured(self, argv: Sequence[str] | None) -> tuple[Configuration, argparse.Namespace]:
        """Parse a command line.

        :return: the configuration, and all arguments, such as ``out``.
        :raises ValueError: for a value out of range, or a configuration file with something else in it.
        """
        arguments = self.parse_args(argv)
        for file in arguments.plugins:
            run_plugin(file)
        given: dict[str, Any] = {}
        if arguments.config is not None:
            given = read_yaml(arguments.config, "settings such as 'epochs: 3'")
            self.declared.check_names(given, str(arguments.config))
        names = (*settings_of(self.declared), "recipe")
        given |= {name: value for name, value in vars(arguments).items() if name in names}
        return self.declared.of({**self._own_defaults(given), **given}), arguments

    def _own_defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The defaults of this command line, without those that a recipe beats or that the model has no use for."""
        beaten = RECIPES.get(str(given.get("recipe")), {})
        kind = kind_of(str({**self.defaults, **given}.get("model")))
        return {name: value for name, value in self.defaults.items()
                if name not in beaten and kind in (settings_of(self.declared)[name].kinds or (kind,))}  # fmt: skip


def run_plugin(file: Path) -> None:
    """Import a Python file, which may add to :data:`~avalanche_aim.experiments.STRATEGIES`.

    :raises ValueError: if it is none.
    """
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise ValueError(f"plugins: expected a Python file, got {str(file)!r:.200}")
    sys.modules[file.stem] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


@contextmanager
def executor(configuration: Configuration, arguments: argparse.Namespace) -> Iterator[Executor]:
    """Yield what makes the runs: this process, or a cluster.

    :raises ValueError, OSError, ImportError: for a device or cluster that can't be used.
    """
    if arguments.ray is None:
        if arguments.runs_per_gpu is not None:
            raise ValueError("runs_per_gpu: expected none without --ray, where runs are made one after the other")
        check_device(configuration.device)  # an unknown device is an error now, not after the first task
        yield one_after_the_other
        return
    if importlib.util.find_spec("ray") is None:
        raise ImportError("ray: expected the package ray, which is not installed: pip install 'avalanche-aim[ray]'")
    if world_size() > 1:
        raise ValueError(f"ray: expected one process, which hands runs out, got {world_size()}; leave torchrun out")
    from ..experiments.cluster import RayCluster

    prepare = partial(prepare_worker, arguments.plugins)
    with RayCluster(arguments.out, arguments.ray, configuration.device, arguments.runs_per_gpu, prepare) as cluster:
        print(f"Ray: {cluster.slots} runs at a time on {cluster.device}; machines: {cluster.machines}", flush=True)
        yield cluster


def prepare_worker(plugins: Sequence[Path]) -> None:
    """Do in a worker of a cluster what this process has done before its runs."""
    leave_out_others()
    for file in plugins:
        run_plugin(file)


def main(argv: Sequence[str]) -> int:
    """Compare strategies on a benchmark."""
    parser = Parser(RUN)
    parser.prog = "avalanche_aim run"
    return compare(parser, argv)


def compare(parser: Parser, argv: Sequence[str] | None) -> int:
    """Run the comparison that the command line asks for, and print its table.

    :param argv: the arguments, or None for the process's own.
    :return: the exit status: 0, 1 if a run failed or something could not be written, 2 if nothing could be run, or 130
        if it was interrupted.
    """
    return interruptible(parser, partial(_compare, parser, argv))


def interruptible(parser: Parser, command: Callable[[ExitStack], int]) -> int:
    """Run a command, with its warnings above the progress bar, and say at Ctrl-C what is kept.

    :param command: gets what is closed at the end, and returns the exit status.
    """
    try:
        with above_the_bar(), ExitStack() as stack:
            return command(stack)
    except KeyboardInterrupt:
        kept = "every run that had ended is kept, the same command goes on"
        print(f"{parser.prog}: interrupted; {kept}", file=sys.stderr)
        return INTERRUPTED


def _compare(parser: Parser, argv: Sequence[str] | None, stack: ExitStack) -> int:
    try:
        configuration, arguments = parser.configured(argv)
        init_process_group()
        out = arguments.out
        make = stack.enter_context(executor(configuration, arguments))
        checkpoints = Checkpoints(arguments.checkpoint_every, arguments.checkpoint_minutes)
        comparison = Comparison(configuration, out, checkpoints)
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    if not is_main_process():
        warnings.simplefilter("ignore")  # the first process says it
    for order, stream in comparison.streams.items():
        if getattr(stream, "truncated", 0) and is_main_process():
            limit = configuration.max_prompt_tokens
            print(f"Order {order}: {stream.truncated} prompts are longer than {limit} tokens and were shortened.")
    comparison.run(executor=make)
    if is_main_process():
        _show(comparison, out)
    destroy_process_group()
    for problem in comparison.problems:
        print(f"{parser.prog}: {problem}", file=sys.stderr)
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
    if missing := not_measured(comparison.results):
        print(f"\nGeneral ability was not measured on {reasons(missing)}.")
    for run in comparison.results:
        if run.history is not None and not run.merges:
            print(f"\n{run.key} never merged. {' '.join(f'It warned: {note}.' for note in run.history.notes)}")
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

    :raises ValueError: if it is unknown, or torch can't use it.
    """
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, ValueError, ImportError) as error:  # of a kind that depends on the device
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"device: expected one that torch can use here, such as cpu, got {device!r:.80} ({reason:.300})"
        ) from error
