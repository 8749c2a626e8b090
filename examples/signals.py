"""What does the controller see while one task is learned, and what does it do?

Trains on the Standard CL tasks with AIM and draws, for one of them: the learning signal and the interval at each merge
with their correlation, the historical loss with its threshold and activations, and the dev score of this task and of
the earlier ones over time.

It trains AIM's paper preset and measures dev data. What else a comparison can be asked for (--strategies, --options,
--stream, --fwt, --save-models, checkpoints) is without effect here.

python examples/signals.py                         # the shipped sample, SmolLM2-135M, its second task
python examples/signals.py --model tiny --epochs 1 # a smoke run, in seconds
"""

from statistics import mean
from typing import Any

import numpy as np
from probe import Probe, train_probed

from avalanche_aim.cli.run import Parser
from avalanche_aim.merging import History
from avalanche_aim.report.drawing import Plot
from avalanche_aim.report.palette import light
from avalanche_aim.report.signal_plots import Timeline, draw_interval, draw_learning, draw_losses, draw_merges


def correlation(first: list[float], second: list[float]) -> float:
    """Pearson's r, or NaN where one of the two does not vary."""
    return float(np.corrcoef(first, second)[0, 1]) if first and np.ptp(first) and np.ptp(second) else float("nan")


def plot(history: History, probe: Probe, tasks: list[str]) -> Plot:
    """The last task of the stream: Λ and the interval, the historical loss, and the scores meanwhile."""
    task = len(tasks) - 1
    line = Timeline(History(*([r for r in records if r.experience == task]
                              for records in (history.merges, history.iterations))))  # fmt: skip
    merges = line.history.merges
    r = correlation([m.learning_signal for m in merges], [m.next_interval or 0 for m in merges])
    own = [(s.iteration, s.score) for s in probe.records if (s.experience, s.task) == (task, task)]
    past = [(i, mean(s.score for s in probe.records if (s.experience, s.iteration) == (task, i) and s.task < task))
            for i, _ in own]  # fmt: skip

    def draw(figure: Any) -> None:
        axes = figure.subplots(4, 1, sharex=True, height_ratios=[1, 1, 2, 2])
        for axis, panel in zip(axes, (draw_learning, draw_interval, draw_losses), strict=False):
            panel(axis, line)
        axes[0].set_title(f"{tasks[task]}: {len(merges)} merges, correlation of Λ and the interval {r:+.2f}")
        axes[2].legend(ncols=4, loc="lower right", bbox_to_anchor=(1, 1))
        axes[3].plot(*zip(*own, strict=True), color=light("green"), label=f"{tasks[task]} (being learned)")
        axes[3].plot(*zip(*past, strict=True), "--", color=light("muted"), label="mean of the earlier tasks")
        axes[3].set(ylabel="dev exact match, %", xlabel="training iteration; a green line is a merge")
        axes[3].legend()
        for axis in axes:
            draw_merges(axis, line)

    return Plot("Signals of one task, and the dev scores meanwhile.", 760, 700, draw)


def main(argv: list[str] | None = None) -> int:
    """Train, draw, and say what was seen."""
    p = Parser(__doc__ or "", benchmark="standard_cl", strategies=("aim",), stream="dev", eval_per_task=24,
               memory=8, epochs=4, batch_size=4, max_prompt_tokens=96, out="signals")  # fmt: skip
    p.add_argument("--task", type=int, default=1, help="which task to look at, from 0, which is never merged")
    p.add_argument("--every", type=int, default=8, help="iterations between two measurements")
    configuration, arguments = p.configured(argv)
    if arguments.task < 1:
        p.error(f"--task: expected 1 or more, got {arguments.task}")
    history, probe, tasks = train_probed(configuration, configuration.memory, arguments.every, arguments.task + 1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    history.write(arguments.out)
    plot(history, probe, tasks).save(arguments.out / "signals.png")
    merges = [merge for merge in history.merges if merge.experience == len(tasks) - 1]
    print(f"{tasks[-1]}: {len(merges)} merges, after {[merge.elapsed for merge in merges]} iterations")
    print(f"Written to {arguments.out}: signals.png and the history")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
