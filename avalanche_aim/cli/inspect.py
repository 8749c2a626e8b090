"""``inspect``: what is in a folder of benchmark files."""

import argparse
import json
from collections.abc import Sequence
from typing import Any

from ..experiments.configuration import Configuration
from ..experiments.settings import add_arguments
from ..text.data.inspection import inspect_folder, table
from ..text.data.layouts import SAMPLE

READING = ("columns", "task_settings")
"""The settings of ``run`` that say how data is read."""


def main(argv: Sequence[str]) -> int:
    """Show a folder's tasks and traps.

    :return: the exit status: 1 if a task can't be read, or there is a trap and ``--strict`` was given.
    """
    p = argparse.ArgumentParser(
        prog="avalanche_aim inspect",
        description="Show the layout, tasks, splits, labels, lengths and known traps of a folder of benchmark files.",
    )
    p.add_argument("folder", metavar="DIR", help='the folder, in any layout (docs/data.md), or "sample"')
    p.add_argument("--json", action="store_true", help="print JSON instead of a table")
    p.add_argument("--strict", action="store_true", help="exit with status 1 if there is any trap")
    what = 'count tokens too: the folder or Hugging Face id of a tokenizer, "tiny" or "tiny-t5"'
    p.add_argument("--tokenizer", metavar="NAME", help=what)
    add_arguments(p, Configuration, READING, {})
    arguments = p.parse_args(argv)
    folder = SAMPLE if arguments.folder == "sample" else arguments.folder
    said = {name: value for name, value in vars(arguments).items() if name in READING}
    inspection = inspect_folder(folder, _tokenizer(arguments.tokenizer), **said)
    print(json.dumps(inspection.as_dict(), indent=1, ensure_ascii=False) if arguments.json else table(inspection))
    return int(bool(inspection.errors) or (arguments.strict and bool(inspection.traps)))


def _tokenizer(name: str | None) -> Any:
    if name is None:
        return None
    from ..text.model.tiny import TINY, tiny_tokenizer

    if name in TINY:
        return tiny_tokenizer(TINY[name])
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(name)
