"""Fifteen classification tasks one after another: the Long-sequence benchmark (orders 4 to 6).

python examples/long_sequence.py --data DIR                      # the benchmark's files, SmolLM2-135M
python examples/long_sequence.py --data DIR --order yelp-first --strategies naive aim --train-per-task 100
"""

from avalanche_aim.cli.run import Parser, compare


def main(argv: list[str] | None = None) -> int:
    """Run the comparison."""
    return compare(Parser(__doc__ or "", benchmark="long_sequence"), argv)


if __name__ == "__main__":
    raise SystemExit(main())
