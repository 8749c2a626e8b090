"""``report``: tables, statistics and plots of a comparison's runs."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..report import FORMATS, write_report


def main(argv: Sequence[str]) -> int:
    """Print the tables, and write them with the plots."""
    p = argparse.ArgumentParser(
        prog="avalanche_aim report",
        description="Print the tables of a comparison, and write them with the plots. Unfinished ones will do.",
    )
    p.add_argument("folder", metavar="DIR", type=Path, help="what --out of the comparison was")
    p.add_argument("--format", nargs="+", choices=FORMATS,
        default=["all"], help="what to write; text is only printed, as it always is (default: all)")  # fmt: skip
    p.add_argument("--baseline", metavar="NAME", help="the strategy to compare with (default: naive)")
    p.add_argument("--out", type=Path, metavar="DIR", help="where to write report.* (default: the folder itself)")
    p.add_argument("--metrics", nargs="+", type=Path, metavar="FILE", default=[],
        help="Python files with metrics of your own (docs/extending.md)")  # fmt: skip
    arguments = p.parse_args(argv)
    printed = write_report(arguments.folder, arguments.format, arguments.baseline, arguments.out, arguments.metrics)
    print(printed, end="")
    return 0
