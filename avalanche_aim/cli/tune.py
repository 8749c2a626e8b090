"""``tune``: choose a learning rate for each strategy on dev data, for ``run --tuned``."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from ..distributed import destroy_process_group, init_process_group, is_main_process
from ..experiments.comparison import Checkpoints
from ..experiments.tuned import Tuned
from ..experiments.tuning import FILE, Tuning
from ..report.tables import NONE, Table, markdown
from .run import Parser, executor, interruptible

TUNE = """Choose a learning rate, and one setting of its own, for each strategy, by OP on dev data over the orders and
seeds asked for. All have the same grid and the same number of runs. The same command again goes on where it stopped;
started several times, it shares the runs out. The result, OUT/tuned.json, is for run --tuned."""


def main(argv: Sequence[str]) -> int:
    """Tune strategies.

    :return: the exit status: 0, 1 if something could not be written or a trial failed, 2 if nothing could be run, or
        130 if it was interrupted.
    """
    parser = Parser(TUNE, out="tuning", stream="dev")
    parser.prog = "avalanche_aim tune"
    add = parser.add_argument_group("tuning").add_argument
    add("--learning-rates", nargs="+", type=float, metavar="RATE",
        help="the grid; by default half, once and twice the learning rate")  # fmt: skip
    add("--extend", type=int, default=3, metavar="N",
        help="how often the grid may grow where a strategy does best at its edge (default: %(default)s)")  # fmt: skip
    add("--learning-rate-only", action="store_true", help="leave the strategies' own settings alone")
    return interruptible(parser, partial(_tune, parser, argv))


def _tune(parser: Parser, argv: Sequence[str], stack: ExitStack) -> int:
    try:
        configuration, arguments = parser.configured(argv)
        init_process_group()
        checkpoints = Checkpoints(arguments.checkpoint_every, arguments.checkpoint_minutes)
        make = stack.enter_context(executor(configuration, arguments))
        tuning = Tuning(configuration, arguments.out, arguments.learning_rates, not arguments.learning_rate_only,
                        arguments.extend, checkpoints, make)  # fmt: skip
        tuned = tuning.run(tell=_tell if is_main_process() else lambda line: None)
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    if is_main_process():
        print(f"\n{_table(tuned)}\n\nWritten to {arguments.out / FILE}; run --tuned {arguments.out / FILE} uses it")
        at_edge = [name for name, choice in tuned.choices.items() if choice.at_edge]
        if at_edge:
            print(f"Still best at the edge of the grid: {', '.join(at_edge)}; --extend lets it grow further.")
    destroy_process_group()
    for problem in tuning.problems:
        print(f"{parser.prog}: {problem}", file=sys.stderr)
    failed = any(trial.op is None for choice in tuned.choices.values() for trial in choice.trials)
    return int(bool(tuning.problems) or failed)


def _table(tuned: Tuned) -> str:
    rows = []
    for name, choice in tuned.choices.items():
        best = max(trial.op for trial in choice.trials if trial.op is not None)
        options = ", ".join(f"{key} {value}" for key, value in choice.options.items()) or NONE
        tried = ", ".join(f"{t.learning_rate:g}{''.join(f' {k} {v}' for k, v in t.options.items())}: "
                          f"{'failed' if t.op is None else format(t.op, '.1f')}" for t in choice.trials)  # fmt: skip
        rows.append([name, f"{choice.learning_rate:g}", options, f"{best:.1f}", tried])
    return markdown(Table("Tuned", ["strategy", "learning rate", "own setting", "OP on dev", "tried"], rows))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
