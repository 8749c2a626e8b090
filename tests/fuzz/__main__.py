"""Read thousands of bad inputs, and say how each kind ended.

python tests/fuzz                             # 5,000 inputs of all kinds
python tests/fuzz --kinds history --inputs 200 --seed 7

Exit status 1 if any input broke the promise of docs/reliability.md.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
sys.path.insert(0, str(Path(__file__).parents[2]))  # this checkout's library

from hypothesis import HealthCheck, Phase, given, seed, settings
from kinds import KINDS
from promise import Broken, Kind, try_out


def main() -> int:
    """Read, and print one table."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--inputs", type=int, default=5000, metavar="N", help="in all, about (default: 5000)")
    p.add_argument("--kinds", nargs="+", default=[""], metavar="TEXT", help="only kinds whose name holds one of these")
    p.add_argument("--seed", type=int, default=0, help="of the inputs")
    arguments = p.parse_args()
    chosen = [kind for kind in KINDS if any(text in kind.name for text in arguments.kinds)]
    shares = sum(kind.share for kind in chosen)
    total: Counter[str] = Counter()
    print(f"{'kind':<28}{'inputs':>8}{'results':>9}{'errors':>8}{'broken':>8}{'s':>7}", flush=True)
    for kind in chosen:
        began = time.monotonic()
        counts, broken = read_many(kind, -(-arguments.inputs * kind.share // shares), arguments.seed)
        total += counts
        print(f"{kind.name:<28}{_row(counts)}{time.monotonic() - began:7.1f}", flush=True)
        for reason, (times, example) in broken.items():
            print(f"    {times} × {reason}\n        such as {example}", flush=True)
    print(f"{'all':<28}{_row(total)}")
    return int(total["broken"] > 0)


def read_many(kind: Kind, inputs: int, number: int) -> tuple[Counter[str], dict[str, tuple[int, str]]]:
    """Read inputs of a kind; return how many ended how, and what was broken, with an example each."""
    counts: Counter[str] = Counter()
    broken: dict[str, tuple[int, str]] = {}

    @seed(number)
    @settings(max_examples=inputs, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(kind.inputs)
    def read(given: object) -> None:
        with tempfile.TemporaryDirectory() as folder:
            try:
                counts["results" if try_out(kind, given, Path(folder)) else "errors"] += 1
            except Broken as problem:
                counts["broken"] += 1
                reason = str(problem).replace(folder, "…")
                times, example = broken.get(reason[:90], (0, f"{reason[:600]} for {given!r:.300}"))
                broken[reason[:90]] = times + 1, example

    read()
    return counts, broken


def _row(counts: Counter[str]) -> str:
    return f"{counts.total():8}{counts['results']:9}{counts['errors']:8}{counts['broken']:8}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as cache:
        os.environ["AVALANCHE_AIM_CACHE"] = cache
        sys.exit(main())
