"""A run that goes on from a checkpoint, at any iteration, ends as one that was never interrupted, to the bit."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from avalanche.benchmarks.scenarios import benchmark_from_datasets, with_classes_timeline
from avalanche.benchmarks.scenarios.online import split_online_stream
from avalanche.benchmarks.scenarios.task_aware import with_task_labels
from avalanche.benchmarks.utils import DataAttribute
from avalanche.benchmarks.utils.classification_dataset import TaskAwareSupervisedClassificationDataset
from avalanche.models import IncrementalClassifier
from avalanche.training import EWC, Cumulative, LwF
from avalanche.training.plugins import EWCPlugin, LwFPlugin, ReplayPlugin
from avalanche.training.storage_policy import ClassBalancedBuffer, ReservoirSamplingBuffer
from checkpoint_runs import ITERATIONS, Run, aim, names_in
from short_presets import SHORT
from torch import nn
from torch.utils.data import TensorDataset

from avalanche_aim import (
    AIMMergingPlugin,
    CheckpointPlugin,
    DataOrder,
    GradientStep,
    LearningRateSchedule,
    RehearsalMemory,
)
from avalanche_aim.merging import PRESETS, DueMerge, FixedInterval, Observation, Schedule

Same = Callable[[Any, Any], bool]


def replay() -> ReplayPlugin:
    memory = RehearsalMemory(6)
    return ReplayPlugin(mem_size=memory.max_size, storage_policy=memory)


def replay_reservoir() -> ReplayPlugin:
    return ReplayPlugin(10, storage_policy=ReservoirSamplingBuffer(10))


class Growing(nn.Module):
    """A network whose head grows with the classes."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = IncrementalClassifier(16)  # before the body, so that new weights are not the last ones
        self.body = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.body(x))


def frozen_body() -> nn.Module:
    body = nn.Linear(8, 16)
    body.requires_grad_(False)
    return nn.Sequential(body, nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 6))


def labelled() -> Any:
    """Return a stream with task labels, all 0, which LwF needs."""
    y = torch.arange(96) % 6
    x = torch.randn(96, 8, generator=torch.Generator().manual_seed(0)) + 3 * nn.functional.one_hot(y, 8)
    parts = []
    for number in range(3):
        rows = (y // 2 == number).nonzero()[:, 0]
        targets = y[rows].tolist()
        attributes = [
            DataAttribute(targets, "targets"),
            DataAttribute([0] * len(rows), "targets_task_labels", use_in_getitem=True),
        ]
        data = TensorDataset(x[rows], y[rows])
        parts.append(TaskAwareSupervisedClassificationDataset([data], data_attributes=attributes))
    benchmark = with_classes_timeline(benchmark_from_datasets(train=parts))
    return with_task_labels(benchmark).train_stream


class ModelTime(Schedule):
    """Merges whenever the steps since the last merge are long enough together."""

    STATE = (*Schedule.STATE, "time")
    needs = ("step_length",)
    time = 0.0

    def due(self, observation: Observation) -> str | None:
        self.time += observation.step_length
        return "time" if self.time > 0.5 else None

    def adapt(self, merge: DueMerge) -> None:
        self.time = 0.0


RUNS: dict[str, dict[str, Any]] = {
    "naive": {"plugins": []},
    "aim": {"plugins": [aim]},
    **{name: {"plugins": [partial(AIMMergingPlugin, name, memory=8, **SHORT.get(name, {}))]} for name in PRESETS},
    "rules and slow weights": {"plugins": [lambda: aim(rule="dare", slow="exponential")], "eval_every": 1},
    "tail average": {"plugins": [lambda: aim(slow={"name": "tail", "share": 0.4}, rehearsal={"hold_out": 0.5})]},
    "model time": {"plugins": [lambda: AIMMergingPlugin("paper", memory=8, schedule=ModelTime())]},
    "no memory": {
        "plugins": [lambda: AIMMergingPlugin("paper", rehearsal=None, schedule=FixedInterval(3, merges_at_end=True))]
    },
    "replay": {"plugins": [replay]},
    "replay, balanced by experience": {"plugins": [lambda: ReplayPlugin(10), aim]},
    "replay, balanced by class": {
        "plugins": [lambda: ReplayPlugin(10, storage_policy=ClassBalancedBuffer(10))],
        "labelled": True,
    },
    "replay, reservoir": {"plugins": [replay_reservoir]},
    "cumulative": {"plugins": [], "template": Cumulative},
    "aim, schedule, clipping, micro-batches": {
        "plugins": [
            lambda: GradientStep(micro_batch_size=3, max_grad_norm=0.5),
            lambda: LearningRateSchedule("cosine", warmup=2),
            aim,
        ],
        "reset": True,
    },
    "aim and scaled loss": {
        "plugins": [lambda: GradientStep(scaler=torch.amp.GradScaler("cpu", growth_interval=3)), aim]
    },
    "ewc": {"plugins": [lambda: EWCPlugin(10.0)]},
    "ewc online": {"plugins": [], "template": EWC, "ewc_lambda": 10.0, "mode": "online", "decay_factor": 0.5},
    "lwf": {"plugins": [], "labelled": True, "template": LwF, "alpha": 1.0, "temperature": 2.0},
    "lwf, growing head": {"plugins": [lambda: LwFPlugin(1.0, 2.0), aim], "labelled": True, "model": Growing},
    "frozen body": {"plugins": [aim], "model": frozen_body, "optimizer": lambda w: torch.optim.SGD(w, 0.1, 0.9)},
    "periodic evaluation": {"plugins": [aim], "eval_every": 1},
}
POINTS = {
    "the first batch": 0,
    "the first epoch": 2,
    "the border of epochs": 4,
    "the border of experiences": ITERATIONS + 1,
    "right before a merge": ITERATIONS + 1 + 2,
    "right after a merge": ITERATIONS + 1 + 3,
    "the end of an experience": 2 * (ITERATIONS + 1) - 1,
    "the last experience": 2 * (ITERATIONS + 1) + 5,
    "the end": 3 * (ITERATIONS + 1) - 1,
}
"""Number of the checkpoint: there is one before each iteration, and one after the last of each experience."""
TELLING = ("the border of epochs", "right after a merge", "the end of an experience", "the last experience")
MOST_TELLING = "right after a merge"
QUICK = {(MOST_TELLING, kind) for kind in RUNS if kind not in PRESETS or kind in ("reference", "straight")}
CASES = [
    pytest.param(kind, point, marks=[] if kind == "aim" or (point, kind) in QUICK else pytest.mark.slow)
    for kind in RUNS
    for point in (POINTS if kind in ("aim", "cumulative") else TELLING)
]


@pytest.fixture(scope="module")
def finished(three_tasks: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Run, Path, Any]]:
    """Train each kind of run once, without interruption."""
    done: dict[str, tuple[Run, Path, Any]] = {}

    def get(kind: str) -> tuple[Run, Path, Any]:
        if kind not in done:
            settings = dict(RUNS[kind])
            stream = labelled() if settings.pop("labelled", False) else three_tasks.train_stream
            run = Run(stream, *settings.pop("plugins"), **settings)
            folder = tmp_path_factory.mktemp("all")
            done[kind] = run, folder, run.every_iteration(folder)
        return done[kind]

    return get


@pytest.mark.parametrize(("kind", "point"), CASES)
def test_it_ends_the_same_to_the_bit(
    kind: str, point: str, finished: Callable[..., Any], tmp_path: Path, same: Same
) -> None:
    run, folder, whole = finished(kind)
    names = names_in(folder)
    whole_run = (1 + 2 + 3) * ITERATIONS if kind == "cumulative" else 3 * ITERATIONS
    assert len(names) == whole_run + 3
    resumed = run.from_checkpoint(names[POINTS[point]], folder, tmp_path)
    assert {part for part in whole if not same(resumed[part], whole[part])} == set()


def test_the_run_is_one_with_merges_memory_and_dropout(finished: Callable[..., Any]) -> None:
    _, _, whole = finished("aim")
    (history,) = whole["histories"]
    assert len(history["merges"]) == 4
    assert [len(rows) for rows in whole["memories"][0]] == [8, 8, 8]


@pytest.mark.parametrize("kind", ["naive", "aim", "replay"])
def test_saving_changes_nothing(kind: str, finished: Callable[..., Any], tmp_path: Path, same: Same) -> None:
    run, _, whole = finished(kind)
    assert same(run.train(CheckpointPlugin(tmp_path, minutes=None)), whole)
    run.plugins = (DataOrder, *run.plugins)
    strategy = run.strategy()
    for experience in run.stream:
        strategy.train(experience)
        strategy.eval(run.evaluated(experience.current_experience))
    assert same({n: v.clone() for n, v in strategy.model.state_dict().items()}, whole["model"])
    run.plugins = run.plugins[1:]


@pytest.mark.parametrize("boundaries", [False, True])
def test_a_run_on_an_online_stream_resumes_in_the_middle_of_a_task(
    boundaries: bool, three_tasks: Any, tmp_path: Path, same: Same
) -> None:
    stream = list(split_online_stream(three_tasks.train_stream, 8, access_task_boundaries=boundaries, seed=0))
    run = Run(stream, aim, replay_reservoir, evaluated=lambda number: three_tasks.train_stream[:1])
    whole = run.every_iteration(tmp_path / "all")
    assert whole["histories"][0]["merges"]
    names = names_in(tmp_path / "all")
    assert len(names) == 24  # 12 parts of one batch, two epochs each; no checkpoint at their ends
    for number in (5, 8, 13, 23):
        resumed = run.from_checkpoint(names[number], tmp_path / "all", tmp_path / str(number))
        assert {part for part in whole if not same(resumed[part], whole[part])} == set()


def test_an_online_stream_is_not_saved_at_each_of_its_parts(three_tasks: Any, tmp_path: Path) -> None:
    stream = list(split_online_stream(three_tasks.train_stream, 8, seed=0))
    Run(stream, aim, evaluated=lambda number: three_tasks.train_stream[:1]).train(CheckpointPlugin(tmp_path / "none"))
    assert not (tmp_path / "none").exists()
