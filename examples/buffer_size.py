"""How small may the memory be before the forgetting signal means nothing?

Trains on the Standard CL tasks with AIM once for each size of the memory. Every few iterations the true loss on the dev
data of the past tasks is measured, and compared with the historical loss that the controller saw meanwhile: their
correlation (Pearson's r, with each task's own mean taken off) says how far the signal can be trusted.

It trains AIM's paper preset and measures dev data. What else a comparison can be asked for (--strategies, --options,
--stream, --fwt, --save-models, checkpoints) is without effect here, and so is --memory.

python examples/buffer_size.py                              # the shipped sample, SmolLM2-135M
python examples/buffer_size.py --model tiny --sizes 1 8     # a smoke run, in seconds
"""

import csv
from statistics import mean
from typing import Any

import numpy as np
from probe import Probe, train_probed

from avalanche_aim.cli.run import Parser
from avalanche_aim.experiments import Configuration
from avalanche_aim.experiments.settings import settings_of
from avalanche_aim.merging import History
from avalanche_aim.report.drawing import Plot
from avalanche_aim.report.palette import MARKERS, STRATEGY_COLOURS, light

Pair = tuple[int, float, float]


def pairs(history: History, probe: Probe) -> list[Pair]:
    """Join (task, historical loss, true loss) at each measurement.

    The historical loss is the mean since the measurement before: one batch is noise.
    """
    seen = {(record.experience, record.iteration): record.historical_loss for record in history.iterations}
    joined = []
    for experience, iteration in dict.fromkeys((r.experience, r.iteration) for r in probe.records):
        since = [seen.get((experience, i)) for i in range(iteration - probe.every + 1, iteration + 1)]
        losses = [loss for loss in since if loss is not None]
        past = [r.loss for r in probe.records
                if (r.experience, r.iteration) == (experience, iteration) and r.task < experience]  # fmt: skip
        if losses and past:
            joined.append((experience, mean(losses), mean(past)))
    return joined


def correlation(joined: list[Pair]) -> float:
    """Pearson's r within tasks, or NaN where nothing varies."""
    tasks = {task: np.array([pair[1:] for pair in joined if pair[0] == task]) for task, *_ in joined}
    if not tasks:
        return float("nan")
    centred = np.concatenate([values - values.mean(axis=0) for values in tasks.values()])
    return float(np.corrcoef(centred.T)[0, 1]) if centred.std(axis=0).all() else float("nan")


def plot(measured: dict[str, list[Pair]]) -> Plot:
    """The correlation over the size, and each size's pairs."""

    def draw(figure: Any) -> None:
        upper, lower = figure.subfigures(2, 1)
        axis = upper.subplots()
        axis.plot(list(measured), [correlation(joined) for joined in measured.values()], "o-", color=light("blue"))
        axis.set(
            ylim=(-1, 1),
            xlabel="rehearsed of each past task",
            ylabel="correlation of the historical\nand the true past loss",
        )
        axes = lower.subplots(1, len(measured), squeeze=False)[0]
        for place, (name, joined) in zip(axes, measured.items(), strict=True):
            for task in dict.fromkeys(pair[0] for pair in joined):
                losses = [pair[1:] for pair in joined if pair[0] == task]
                colour, marker = light(STRATEGY_COLOURS[task % 8]), MARKERS[task % 8]
                place.plot(*zip(*losses, strict=True), marker, color=colour, ms=4, label=f"in task {task + 1}")
            place.set(title=f"{name}: r = {correlation(joined):+.2f}", xlabel="historical loss")
        axes[0].set_ylabel("true loss on past dev data")
        axes[0].legend()

    return Plot(
        "How far the historical loss tells the true one, over the memory's size.", 230 * len(measured), 470, draw
    )


def main(argv: list[str] | None = None) -> int:
    """Train once a size, draw, and print the correlations."""
    p = Parser(__doc__ or "", benchmark="standard_cl", strategies=("aim",), stream="dev", eval_per_task=24,
               batch_size=4, max_prompt_tokens=96, out="buffer_size")  # fmt: skip
    size = settings_of(Configuration)["memory"].read
    p.add_argument("--sizes", nargs="+", type=size, default=[0.005, 0.01, 0.02, 0.05, 0.1], metavar="SIZE",
                   help="memories to compare: fractions of each past task, or counts")  # fmt: skip
    p.add_argument("--every", type=int, default=4, help="iterations between two measurements")
    configuration, arguments = p.configured(argv)
    measured: dict[str, list[Pair]] = {}
    for size in arguments.sizes:
        name = f"{size:.1%}" if isinstance(size, float) else f"{size} examples"
        history, probe, _ = train_probed(configuration, size, arguments.every)
        measured[name] = pairs(history, probe)
        print(f"{name}: r = {correlation(measured[name]):+.2f}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    plot(measured).save(arguments.out / "buffer_size.png")
    with (arguments.out / "buffer_size.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["memory", "task", "historical loss", "true loss"])
        writer.writerows([name, *pair] for name, joined in measured.items() for pair in joined)
    print(f"Written to {arguments.out}: buffer_size.png and buffer_size.csv")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
