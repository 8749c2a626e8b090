"""Does it matter when weights are merged? The adaptive schedule against fixed, random and single merges.

The same memory, fine-tuning and weights; only the schedule differs, except in aim-reference, which is all of the
published code's preset. Draws when each merged, and OP and BWT.

python examples/schedules.py --memory 8 --batch-size 4 --epochs 3   # the shipped sample, SmolLM2-135M
python examples/schedules.py --model tiny --batch-size 2            # a smoke run, in seconds
"""

from statistics import mean
from typing import Any

from avalanche_aim.cli.run import Parser, compare
from avalanche_aim.experiments import Result, RunStore
from avalanche_aim.report.drawing import Plot, mark_tasks
from avalanche_aim.report.palette import light, look

SCHEDULES = ("aim", "aim-reference", "fixed-interval", "random-interval", "single-merge")


def plot(results: list[Result]) -> Plot:
    """A line of merges for each schedule (first seed), and its OP and BWT (all seeds)."""
    names = [name for name in SCHEDULES if any(result.strategy == name for result in results)]
    runs = {name: [result for result in results if result.strategy == name] for name in names}

    def draw(figure: Any) -> None:
        when, op, bwt = figure.subplots(1, 3, sharey=True, width_ratios=[4, 1, 1])
        for place, name in enumerate(names):
            own, first = look(name), runs[name][0]
            per_task = first.cost.iterations / len(first.tasks)
            merges = first.history.merges if first.history else []
            at = [m.experience * per_task + m.iteration for m in merges]
            when.plot(at, [place] * len(at), "|", ms=14, color=light("green"))
            for axis, metric in ((op, "OP"), (bwt, "BWT")):
                values = [result.metrics[metric] for result in runs[name]]
                axis.barh(place, mean(values), color=own.hex, alpha=0.45)
                axis.plot(values, [place] * len(values), own.marker, color=own.hex, ms=4)
        tasks = runs[names[0]][0].tasks
        when.set_xlim(0, per_task * len(tasks))
        mark_tasks(when, [number * per_task for number in range(len(tasks))], tasks)
        when.set_yticks(range(len(names)), [f"{name}\n{runs[name][0].merges} merges" for name in names])
        when.set(ylim=(len(names) - 0.5, -0.5), xlabel="training iteration; a tick is a merge")
        op.set_xlabel("OP, %")
        bwt.set_xlabel("BWT")

    return Plot("When each schedule merged, and what came of it.", 860, 115 + 40 * len(names), draw)


def main(argv: list[str] | None = None) -> int:
    """Run the comparison and draw it."""
    p = Parser(__doc__ or "", benchmark="standard_cl", strategies=SCHEDULES, max_prompt_tokens=96)
    status = compare(p, argv)
    if status != 2:
        out = p.configured(argv)[1].out
        plot(RunStore(out).load()[0]).save(out / "schedules.png")
        print(f"Drawn in {out / 'schedules.png'}")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
