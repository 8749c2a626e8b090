"""The command line: ``python -m avalanche_aim``. Heavy imports wait until a command runs."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RUN = """Compare strategies on a benchmark: every strategy with every order and seed.

Each run is on disk as soon as it has ended. The same command again goes on where it stopped, and a run that failed is
tried again."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    :param argv: the arguments, or None for the process's own.
    :return: the exit status: 0 if all is well, 1 if a check failed, 2 if it could not run, 130 after Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] == ["run"]:  # its own parser lists the strategies, which needs torch
        from .experiments.command import compare
        from .experiments.command import parser as comparison_parser

        comparison = comparison_parser(
            RUN, "by number: 1 to 3 of standard_cl, 4 to 6 of long_sequence, 1 and 2 of superni"
        )
        comparison.prog = "avalanche_aim run"
        return compare(comparison, argv[1:])
    arguments = parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except KeyboardInterrupt:
        print(f"avalanche_aim {arguments.command}: interrupted", file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError) as error:
        print(f"avalanche_aim {arguments.command}: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """Make the command line."""
    p = argparse.ArgumentParser(prog="avalanche_aim", description="AIMMerging for Avalanche.")
    commands = p.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("run", help="compare strategies on a benchmark, over orders and seeds", add_help=False)
    inspect = commands.add_parser(
        "inspect",
        help="what is in a folder of benchmark files, and which traps",
        description="Show the layout, tasks, splits, labels, lengths and known traps of a folder of benchmark files.",
    )
    inspect.add_argument("folder", metavar="DIR", help='the folder, in any layout (docs/data.md), or "sample"')
    inspect.add_argument("--json", action="store_true", help="print JSON instead of a table")
    inspect.add_argument("--strict", action="store_true", help="exit with status 1 if there is any trap")
    what = 'count tokens too: the folder or Hugging Face id of a tokenizer, "tiny" or "tiny-t5"'
    inspect.add_argument("--tokenizer", metavar="NAME", help=what)
    inspect.set_defaults(run=_inspect)
    report = commands.add_parser(
        "report",
        help="tables, statistics and plots of a comparison's runs",
        description="Print the tables of a comparison, and write them with the plots. Unfinished ones will do.",
    )
    report.add_argument("folder", metavar="DIR", type=Path, help="what --out of the comparison was")
    report.add_argument("--format", nargs="+", choices=["text", "markdown", "latex", "csv", "html", "all"],
        default=["all"], help="what to write; text is only printed, as it always is (default: all)")  # fmt: skip
    report.add_argument("--baseline", metavar="NAME", help="the strategy to compare with (default: naive)")
    report.add_argument("--out", type=Path, metavar="DIR", help="where to write report.* (default: the folder itself)")
    report.set_defaults(run=_report)
    return p


def _inspect(arguments: argparse.Namespace) -> int:
    from .text.data.inspection import inspect_folder, table
    from .text.data.layouts import SAMPLE

    folder = SAMPLE if arguments.folder == "sample" else arguments.folder
    inspection = inspect_folder(folder, _tokenizer(arguments.tokenizer))
    print(json.dumps(inspection.as_dict(), indent=1, ensure_ascii=False) if arguments.json else table(inspection))
    return int(bool(inspection.errors) or (arguments.strict and bool(inspection.traps)))


def _report(arguments: argparse.Namespace) -> int:
    from .report import write_report

    print(write_report(arguments.folder, arguments.format, arguments.baseline, arguments.out), end="")
    return 0


def _tokenizer(name: str | None) -> Any:
    if name is None:
        return None
    from .text.model.tiny import TINY, tiny_tokenizer

    if name in TINY:
        return tiny_tokenizer(TINY[name])
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(name)


if __name__ == "__main__":
    sys.exit(main())
