"""What does the controller see while one task is learned, and what does it do?

Trains on the Standard CL tasks with AIM and draws, for one of them: the learning signal and the interval at each merge
with their correlation, the historical loss with its threshold and activations, and the dev score of this task and of
the earlier ones over time.

It trains AIM's paper preset and measures dev data. What else a comparison can be asked for (--strategies, --options,
--stream, --fwt, --save-models, checkpoints) is without effect here.

python examples/signals.py                         # the shipped sample, SmolLM2-135M, its second task
python examples/signals.py --model tiny --epochs 1 # a smoke run, in seconds
"""

from pathlib import Path
from statistics import mean

import numpy as np

from avalanche_aim.cli.run import configured, parser
from avalanche_aim.experiments.probe import Probe, train_probed
from avalanche_aim.merging import History


def correlation(first: list[float], second: list[float]) -> float:
    """Pearson's r, or NaN where one of the two does not vary."""
    return float(np.corrcoef(first, second)[0, 1]) if np.ptp(first) and np.ptp(second) else float("nan")


def draw(history: History, probe: Probe, tasks: list[str], path: Path) -> None:
    """Draw the last task of the stream."""
    from matplotlib.figure import Figure

    task = len(tasks) - 1
    merges = [merge for merge in history.merges if merge.experience == task]
    watched = [record for record in history.iterations if record.experience == task]
    at, signal = [merge.iteration for merge in merges], [merge.learning_signal for merge in merges]
    interval = [merge.next_interval or 0 for merge in merges]
    figure = Figure(figsize=(9, 9), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True)

    top.plot(at, signal, "o-", color="C1", label="learning signal Λ")
    top.set_ylabel("learning signal Λ", color="C1")
    beside = top.twinx()
    beside.step(at, interval, where="post", color="C4", label="next interval S")
    beside.set_ylabel("next interval S, iterations", color="C4")
    r = correlation(signal, interval)
    top.set_title(f"{tasks[task]}: {len(merges)} merges, correlation of Λ and S {r:+.2f}")

    x = [record.iteration for record in watched]
    middle.plot(x, [record.historical_loss for record in watched], color="C0", label="historical loss")
    thresholds = [float("nan") if record.threshold is None else record.threshold for record in watched]
    middle.plot(x, thresholds, "--", color="C3", label="threshold")
    active = [(record.iteration, record.historical_loss) for record in watched if record.active]
    if active:
        middle.scatter(*zip(*active, strict=True), color="C3", zorder=3, label="activation")
    middle.set_ylabel("loss on the memory")
    middle.legend(fontsize=9)

    own = [
        (record.iteration, record.score) for record in probe.records if (record.experience, record.task) == (task, task)
    ]
    past = {i: mean(r.score for r in probe.records if (r.experience, r.iteration) == (task, i) and r.task < task)
            for i, _ in own}  # fmt: skip
    bottom.plot(*zip(*own, strict=True), color="C2", label=f"{tasks[task]} (being learned)")
    bottom.plot(list(past), list(past.values()), color="0.4", label="mean of the earlier tasks")
    bottom.set_ylabel("dev exact match, %")
    bottom.set_xlabel("training iteration (dotted: merges)")
    bottom.legend(fontsize=9)
    for axis in (top, middle, bottom):
        for place in at:
            axis.axvline(place, color="0.6", lw=0.7, ls=":")
    figure.savefig(path, dpi=110)


def main(argv: list[str] | None = None) -> int:
    """Train, draw, and say what was seen."""
    p = parser(__doc__ or "", "1, 2 or 3", benchmark="standard_cl", strategies=("aim",), stream="dev", eval_per_task=24,
               memory=8, epochs=4, batch_size=4, max_prompt_tokens=96, out=Path("signals"))  # fmt: skip
    p.add_argument("--task", type=int, default=1, help="which task to look at, from 0, which is never merged")
    p.add_argument("--every", type=int, default=8, help="iterations between two measurements")
    configuration, arguments = configured(p, argv)
    if arguments.task < 1:
        p.error(f"--task: expected 1 or more, got {arguments.task}")
    history, probe, tasks = train_probed(configuration, configuration.memory, arguments.every, arguments.task + 1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    history.write(arguments.out)
    draw(history, probe, tasks, arguments.out / "signals.png")
    merges = [merge for merge in history.merges if merge.experience == len(tasks) - 1]
    print(f"{tasks[-1]}: {len(merges)} merges, after {[merge.elapsed for merge in merges]} iterations")
    print(f"Written to {arguments.out}: signals.png and the history")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
