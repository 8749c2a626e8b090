"""Does it matter when weights are merged? The adaptive schedule against fixed, random and single merges.

The same memory, fine-tuning and weights; only the schedule differs, except in aim-reference, which is all of the
published code's preset. Draws when each merged, and OP and BWT.

python examples/schedules.py --memory 8 --batch-size 4 --epochs 3   # the shipped sample, SmolLM2-135M
python examples/schedules.py --model tiny --batch-size 2            # a smoke run, in seconds
"""

from pathlib import Path
from statistics import mean

from avalanche_aim.cli.run import compare, configured, parser
from avalanche_aim.experiments import Result, RunStore

SCHEDULES = ("aim", "aim-reference", "fixed-interval", "random-interval", "single-merge")


def draw(results: list[Result], path: Path) -> None:
    """Draw a line of merges for each schedule (first seed), and its OP and BWT (all seeds)."""
    from matplotlib.figure import Figure

    names = [name for name in SCHEDULES if any(result.strategy == name for result in results)]
    runs = {name: [result for result in results if result.strategy == name] for name in names}
    figure = Figure(figsize=(12, 1.6 + 0.55 * len(names)), layout="constrained")
    when, op, bwt = figure.subplots(1, 3, sharey=True, width_ratios=[4, 1, 1])
    for place, name in enumerate(names):
        first = runs[name][0]
        per_task = first.cost.iterations / len(first.tasks)
        merges = first.history.merges if first.history else []
        when.plot(
            [m.experience * per_task + m.iteration for m in merges], [place] * len(merges), "|", ms=14, color="C2"
        )
        for axis, metric in ((op, "OP"), (bwt, "BWT")):
            values = [result.metrics[metric] for result in runs[name]]
            axis.barh(place, mean(values), color="C0", alpha=0.5)
            axis.plot(values, [place] * len(values), "o", color="C0", ms=4)
    for number, task in enumerate(runs[names[0]][0].tasks):
        when.axvline(number * per_task, color="0.5", lw=0.8, ls=":")
        when.annotate(task, (number * per_task, 1), xycoords=("data", "axes fraction"), xytext=(3, 3), fontsize=9,
                      textcoords="offset points")  # fmt: skip
    when.set_yticks(range(len(names)), [f"{name}\n{len(runs[name][0].history.merges)} merges" for name in names])
    when.set_ylim(len(names) - 0.5, -0.5)
    when.set_xlabel("training iteration; a tick is a merge")
    op.set_xlabel("OP, %")
    bwt.set_xlabel("BWT")
    figure.savefig(path, dpi=110)


def main(argv: list[str] | None = None) -> int:
    """Run the comparison and draw it."""
    p = parser(__doc__ or "", "1, 2 or 3", benchmark="standard_cl", strategies=SCHEDULES, max_prompt_tokens=96)
    status = compare(p, argv)
    if status != 2:
        out = configured(p, argv)[1].out
        draw(RunStore(out).load()[0], out / "schedules.png")
        print(f"Drawn in {out / 'schedules.png'}")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
