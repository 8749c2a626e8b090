"""Who forgets less? Train a language model on the Standard CL tasks, one after another, with several strategies.

python examples/standard_cl.py                                     # the shipped sample, SmolLM2-135M
python examples/standard_cl.py --data DIR --order 2 --seeds 0 1 2  # the benchmark's files
python examples/standard_cl.py --model tiny                        # a smoke run of everything, in seconds
"""

import demo_model

from avalanche_aim.cli.run import Parser, compare


def main(argv: list[str] | None = None) -> int:
    """Run the comparison."""
    demo_model.prepare(argv)
    # 160 tokens keep a comparison on a laptop's CPU under half an hour; the papers use 512.
    return compare(Parser(__doc__ or "", benchmark="standard_cl", max_prompt_tokens=160), argv)


if __name__ == "__main__":
    raise SystemExit(main())
