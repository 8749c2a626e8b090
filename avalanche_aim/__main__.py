"""The command line: ``python -m avalanche_aim COMMAND``."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from .cli.warned import leave_out_others

COMMANDS = {
    "run": "compare strategies on a benchmark, over orders and seeds",
    "tune": "choose a learning rate for each strategy on dev data, for run --tuned",
    "report": "tables, statistics and plots of a comparison's runs",
    "inspect": "what is in a folder of benchmark files, and which traps",
}
"""Name → what it does. Each is a module of :mod:`avalanche_aim.cli`, imported only when it is asked for."""
INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    :param argv: the arguments, or None for the process's own.
    :return: the exit status: 0 if all is well, 1 if a check failed, 2 if it could not run, 130 after Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    if not argv or argv[0] not in COMMANDS:
        parser().parse_args(argv)  # shows the help, or refuses what is no command
    command = argv[0]
    try:
        leave_out_others()  # some warn as they are imported
        status: int = import_module(f".cli.{command}", __package__).main(argv[1:])
        return status
    except KeyboardInterrupt:
        print(f"avalanche_aim {command}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OSError, ImportError) as error:
        print(f"avalanche_aim {command}: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """Make the parser that lists the commands; each has one of its own for its arguments."""
    p = argparse.ArgumentParser(prog="avalanche_aim", description="AIMMerging for Avalanche.")
    commands = p.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what in COMMANDS.items():
        commands.add_parser(name, help=what, add_help=False)
    return p


if __name__ == "__main__":
    sys.exit(main())
