"""Kinds of damage to a run's checkpoints: files that are not what was written, and ones that say they are."""

import re
import tempfile
import warnings
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from avalanche.benchmarks.scenarios.supervised import class_incremental_benchmark
from avalanche.benchmarks.utils import as_classification_dataset
from avalanche.evaluation.metrics import accuracy_metrics, loss_metrics
from avalanche.training import Naive
from avalanche.training.plugins import EvaluationPlugin, EWCPlugin, ReplayPlugin, SupervisedPlugin
from damage import JUNK, Folder, changes_of, edited, places, put
from hypothesis import strategies as st
from promise import Broken, Kind, contents
from torch import nn
from torch.utils.data import TensorDataset

from avalanche_aim import AIMMergingPlugin, CheckpointPlugin, GradientStep, LearningRateSchedule, RehearsalMemory
from avalanche_aim.evaluation import ResultMatrix
from avalanche_aim.merging import FixedInterval

STOPS = 14
"""Iterations until the run stops: in the second epoch of its second experience, after several merges."""


class _Stopped(Exception):
    """A batch is about to be used."""


class _Stop(SupervisedPlugin):
    """Stops right before a batch is used."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def before_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        if self.left == 0:
            raise _Stopped
        self.left -= 1

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class _Silent:
    def log_metrics(self, values: Any) -> None:
        pass


@cache
def _stream() -> Any:
    y = torch.arange(96) % 6
    x = torch.randn(96, 8, generator=torch.Generator().manual_seed(0))
    data = TensorDataset(x, y)
    data.targets = y.tolist()
    streams = {name: as_classification_dataset(data) for name in ("train", "test")}
    return class_incremental_benchmark(streams, num_experiences=3, class_order=list(range(6))).train_stream


def _run(folder: Path, iterations: int) -> Any:
    """Train for some more iterations a strategy with as many kinds of state as it can have; return it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 6))
    memory = RehearsalMemory(6)
    checkpoint = CheckpointPlugin(folder, every=1)
    strategy = Naive(
        model=model,
        optimizer=torch.optim.Adam(model.parameters(), lr=1e-2),
        criterion=nn.CrossEntropyLoss(),
        train_mb_size=8,
        train_epochs=2,
        evaluator=EvaluationPlugin(
            accuracy_metrics(epoch=True), loss_metrics(minibatch=True), ResultMatrix(), loggers=[_Silent()]
        ),
        plugins=[
            GradientStep(scaler=torch.amp.GradScaler("cpu")),
            ReplayPlugin(mem_size=memory.max_size, storage_policy=memory),
            LearningRateSchedule("cosine", warmup=2),
            AIMMergingPlugin("paper", schedule=FixedInterval(3), memory=memory, rehearsal={"monitor": "train"}),
            EWCPlugin(1.0),
            checkpoint,
            _Stop(iterations),
        ],
    )
    try:
        for experience in checkpoint.resume(strategy, _stream()):
            strategy.train(experience)
    except _Stopped:
        pass
    return strategy


def _weights(strategy: Any) -> str:
    return repr([tensor.tolist() for tensor in strategy.model.state_dict().values()])


@cache
def _whole() -> tuple[dict[str, bytes], dict[str, str]]:
    """Two checkpoints by their names, the older one first, and the weights that each resumes with."""
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _run(Path(name), STOPS)
        written = {path.name: path.read_bytes() for path in sorted(Path(name).iterdir())}
        newest = _weights(_run(Path(name), 0))
    older, newer = written
    with tempfile.TemporaryDirectory() as name:
        put({older: written[older]}, Path(name))
        return written, {newer: newest, older: _weights(_run(Path(name), 0))}


def _newest() -> tuple[str, dict[str, Any]]:
    """The newest checkpoint's name and what is in it, new at each call."""
    name, content = list(_whole()[0].items())[-1]
    return name, torch.load(BytesIO(content), weights_only=True)


# What reading must keep: the content of every file, under its name or put aside


def _kept(folder: Path) -> list[Any]:
    found = contents(folder).items()
    return sorted((re.sub(r"damaged-(checkpoint-\d+-\d+.*)-\w+", r"\1", name), content) for name, content in found)


def _resume(folder: Path) -> Any:
    before = _kept(folder)
    try:
        return _run(folder, 0)
    finally:
        if lost := [name for name, content in before if (name, content) not in _kept(folder)]:
            raise Broken(f"files: {lost} changed while they were read")


def _noticed(given: Any, folder: Path) -> None:
    """Damage that the checksums tell: the run resumes from one of the two, or begins where neither is there."""
    strategy = _resume(folder)
    _, weights = _whole()
    if strategy.clock.train_iterations == 0:
        if left := [name for name in weights if (folder / name).exists()]:
            raise Broken(f"result: the run began anew beside {left}")
    elif _weights(strategy) not in weights.values():
        raise Broken("result: the weights of neither checkpoint")


def _sealed(given: Any, folder: Path) -> None:
    """Damage that the checksums deny."""
    _resume(folder)


def _seal(given: Any, folder: Path) -> None:
    """Write the newest checkpoint with another state."""
    name, checkpoint = _newest()
    torch.save({**checkpoint, "state": given}, folder / name)


@st.composite
def other_states(draw: st.DrawFn) -> Any:
    """A state with values of other kinds, at any depth, tensors of its own among them."""
    _, checkpoint = _newest()
    state = checkpoint["state"]
    part = draw(st.sampled_from([None, *sorted(state)]))  # or the larger parts would get all the damage
    own = st.sampled_from([place[key] for place, key in places(state) if isinstance(place[key], torch.Tensor)])
    junk = st.one_of(JUNK, JUNK, own, own.map(lambda tensor: (tensor,)), JUNK.map(str).map(lambda text: {text}))
    if part is None:
        return draw(edited(state, junk=junk))
    return {**state, part: draw(edited(state[part], junk=junk))}


@st.composite
def other_tensors(draw: st.DrawFn) -> Any:
    """Tensors of other shapes, types and names."""
    _, checkpoint = _newest()
    state = checkpoint["state"]
    shape = st.lists(st.integers(0, 6), max_size=3)
    kind = st.sampled_from([torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool, torch.bfloat16])
    fill = st.sampled_from([0, 1, 255, float("nan"), -1])
    other = st.builds(lambda s, k, f: torch.full(s, 1.0 * f).nan_to_num(7).to(k), shape, kind, fill)
    same = st.sampled_from([(place, key) for place, key in places(state) if isinstance(place[key], torch.Tensor)])
    for place, key in draw(st.lists(same, min_size=1, max_size=3)):
        change = draw(st.sampled_from(["other", "other", "swap", "missing", "fill"]))
        if change == "missing" and isinstance(place, dict):
            place.pop(key, None)
        elif change == "fill" and isinstance(place, dict) and key in place:
            place[key] = torch.full_like(place[key], draw(st.sampled_from([0, 1])))
        else:
            there, name = draw(same)
            swapped = there.get(name, torch.ones(1)) if isinstance(there, dict) else there[name]
            place[key] = draw(other) if change == "other" else torch.clone(swapped)
    return state


@st.composite
def damaged_files(draw: st.DrawFn) -> Folder:
    """Files changed, missing, or something else in their place."""
    written, _ = _whole()
    names = list(written)
    chosen = draw(st.sampled_from([names[-1:], names[-1:], names]))
    changes: dict[str, bytes | str] = {}
    for name in chosen:
        changes.update(draw(changes_of({name: written[name]})))
    return changes


def _put(changes: Any, folder: Path) -> None:
    put({**_whole()[0], **changes}, folder)


KINDS = (
    Kind("checkpoint: damaged files", damaged_files(), _noticed, _put, rewrites=("*",), share=3),
    Kind("checkpoint: other state", other_states(), _sealed, _seal, rewrites=("*",), share=4),
    Kind("checkpoint: other tensors", other_tensors(), _sealed, _seal, rewrites=("*",), share=2),
)
