"""The command line: ``python -m avalanche_aim``. Heavy imports wait until a command runs."""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    :param argv: the arguments, or None for the process's own.
    :return: the exit status: 0 if all is well, 1 if a check failed, 2 if it could not run.
    """
    arguments = parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except (ValueError, OSError, ImportError) as error:
        print(f"avalanche_aim {arguments.command}: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """Make the command line."""
    p = argparse.ArgumentParser(prog="avalanche_aim", description="AIMMerging for Avalanche.")
    commands = p.add_subparsers(dest="command", required=True, metavar="COMMAND")
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
    return p


def _inspect(arguments: argparse.Namespace) -> int:
    from .text.inspection import inspect_folder, table
    from .text.layouts import SAMPLE

    folder = SAMPLE if arguments.folder == "sample" else arguments.folder
    inspection = inspect_folder(folder, _tokenizer(arguments.tokenizer))
    print(json.dumps(inspection.as_dict(), indent=1, ensure_ascii=False) if arguments.json else table(inspection))
    return int(bool(inspection.errors) or (arguments.strict and bool(inspection.traps)))


def _tokenizer(name: str | None) -> Any:
    if name is None:
        return None
    from .text.tiny import TINY, tiny_tokenizer

    if name in TINY:
        return tiny_tokenizer(TINY[name])
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(name)


if __name__ == "__main__":
    sys.exit(main())
