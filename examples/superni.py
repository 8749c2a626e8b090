"""Fifteen SuperNI tasks one after another: classification by exact match, open generation by ROUGE-L (orders 1 and 2).

python examples/superni.py --data DIR                                    # the benchmark's files, SmolLM2-135M
python examples/superni.py --data DIR --order 363,002,591 --strategies naive aim --train-per-task 100
"""

from avalanche_aim.cli.run import Parser, compare


def main(argv: list[str] | None = None) -> int:
    """Run the comparison."""
    return compare(Parser(__doc__ or "", benchmark="superni"), argv)


if __name__ == "__main__":
    raise SystemExit(main())
