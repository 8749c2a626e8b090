"""Measure what the plugin costs, and say where the limits are kept.

python -m benchmarks                                    # everything, with SmolLM2-135M
python -m benchmarks own_work passes --model tiny-t5
python -m benchmarks --quick --model tiny               # does it all work?

Times depend on the machine, so each is compared with another of the same run: the figures are ratios and counts.
Measure on a machine that does nothing else. benchmarks.encoding, benchmarks.kills and benchmarks.termination have
command lines of their own.
"""

import argparse
import contextlib
import importlib
import json
import sys
import warnings
from pathlib import Path

from avalanche_aim.text.model.sources import DEFAULT_MODEL
from benchmarks.figures import Figure, Options, machine, markdown

FIGURES = (
    "own_work",
    "trainer",
    "passes",
    "scores",
    "copies",
    "long_stream",
    "evaluation",
    "start",
    "syncs",
    "padding",
    "processes",
)


def main(argv: list[str] | None = None) -> int:
    """Measure, and print one table."""
    p = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("figures", nargs="*", metavar="FIGURE", help=f"of {', '.join(FIGURES)}; all by default")
    p.add_argument("--model", default=DEFAULT_MODEL, help='a model folder or id, "tiny" or "tiny-t5"')
    p.add_argument("--quick", action="store_true", help="few repetitions, to see that all works")
    p.add_argument("--json", type=Path, metavar="FILE", help="write the figures with all values to this file too")
    arguments = p.parse_args(argv)
    unknown = sorted(set(arguments.figures) - set(FIGURES))
    if unknown:
        p.error(f"expected figures of {', '.join(FIGURES)}; got {', '.join(unknown)}")
    warnings.simplefilter("ignore")
    options = Options(arguments.model, arguments.quick)
    measured: dict[str, list[Figure]] = {}
    for name in arguments.figures or FIGURES:
        print(f"{name} …", file=sys.stderr, flush=True)
        with contextlib.redirect_stdout(sys.stderr):  # standard output is the table's alone
            measured[name] = importlib.import_module(f"benchmarks.{name}").figures(options)
        print(markdown(measured[name]), file=sys.stderr, flush=True)  # in case a later one is interrupted
    print(markdown(figure for group in measured.values() for figure in group))
    where = f"{options.model}{', quick' if options.quick else ''}; {machine()}"
    print(f"\n{where}")
    if arguments.json:
        groups = {name: [figure.to_dict() for figure in group] for name, group in measured.items()}
        arguments.json.write_text(json.dumps({"machine": where, "figures": groups}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
