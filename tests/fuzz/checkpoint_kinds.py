"""Kinds of damage to a run's checkpoints: files that are not what was written, and ones that say they are."""

import json
import re
import tempfile
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from avalanche.benchmarks.scenarios.supervised import class_incremental_benchmark
from avalanche.benchmarks.utils import as_classification_dataset
from avalanche.evaluation.metrics import accuracy_metrics, loss_metrics
from avalanche.training import Naive
from avalanche.training.plugins import EvaluationPlugin, EWCPlugin, ReplayPlugin, SupervisedPlugin
from damage import JUNK, ODD, WHOLES, Folder, changes_of, edited, put, to_json
from hypothesis import strategies as st
from promise import Broken, Kind, contents
from torch import nn
from torch.utils.data import TensorDataset

from avalanche_aim import AIMMergingPlugin, CheckpointPlugin, GradientStep, LearningRateSchedule, RehearsalMemory
from avalanche_aim.checkpoint import folder as files
from avalanche_aim.evaluation import ResultMatrix
from avalanche_aim.merging import FixedInterval

MANIFEST, STATE, TENSORS = "manifest.json", "state.json", "tensors.safetensors"
MARKS = ("$tensor", "$array", "$numbers", "$float", "$tuple", "$set", "$map", "$object")
"""How a state says what JSON has no word for; the last is none of them."""
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
            AIMMergingPlugin(schedule=FixedInterval(3), memory=memory, monitor_mode="train"),
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
    """The files of two checkpoints, the older ones' first, and the weights that each goes on with."""
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _run(Path(name), STOPS)
        written = {str(p.relative_to(name)): p.read_bytes() for p in sorted(Path(name).rglob("*")) if p.is_file()}
        newest = _weights(_run(Path(name), 0))
    with tempfile.TemporaryDirectory() as name:
        put({file: content for file, content in written.items() if file.startswith(_folders(written)[0])}, Path(name))
        return written, {_folders(written)[1]: newest, _folders(written)[0]: _weights(_run(Path(name), 0))}


def _folders(written: Mapping[str, bytes]) -> list[str]:
    return sorted({name.partition("/")[0] for name in written})


def _part(file: str, number: int = -1) -> bytes:
    written, _ = _whole()
    return written[f"{_folders(written)[number]}/{file}"]


# What reading must keep: the content of every file, under its name or put aside


def _kept(folder: Path) -> list[Any]:
    found = contents(folder).items()
    return sorted((re.sub(r"damaged-(checkpoint-\d+-\d+)-\w+", r"\1", name), content) for name, content in found)


def _go_on(folder: Path) -> Any:
    before = _kept(folder)
    try:
        return _run(folder, 0)
    finally:
        if lost := [name for name, content in before if (name, content) not in _kept(folder)]:
            raise Broken(f"files: {lost} changed while they were read")


def _noticed(given: Any, folder: Path) -> None:
    """Damage that the checksums tell: the run goes on as from one of the two, or begins where neither is there."""
    strategy = _go_on(folder)
    _, weights = _whole()
    if strategy.clock.train_iterations == 0:
        if left := [name for name in weights if (folder / name).exists()]:
            raise Broken(f"result: the run began anew beside {left}")
    elif _weights(strategy) not in weights.values():
        raise Broken("result: the weights of neither checkpoint")


def _sealed(given: Any, folder: Path) -> None:
    """Damage that the checksums deny."""
    _go_on(folder)


def _seal(given: Mapping[str, bytes], folder: Path) -> None:
    """Write the newest checkpoint, with a manifest that agrees with its files."""
    written, _ = _whole()
    newest = _folders(written)[-1]
    content = {STATE: _part(STATE), TENSORS: _part(TENSORS), **given}
    sizes = {name: {"bytes": len(data), "sha256": files._sha256(data)} for name, data in content.items()}
    content[MANIFEST] = json.dumps({"format": files.FORMAT, "files": sizes}).encode()
    put({f"{newest}/{name}": data for name, data in content.items()}, folder)


@st.composite
def other_states(draw: st.DrawFn) -> dict[str, bytes]:
    """A state with values of other kinds, at any depth, those of a checkpoint's own kinds among them."""
    document = json.loads(_part(STATE))
    part = draw(st.sampled_from([None, *sorted(document)]))  # or the larger parts would get all the damage
    own = st.sampled_from(sorted(safetensors.torch.load(_part(TENSORS)))).flatmap(
        lambda name: st.sampled_from([{"$tensor": name}, {"$array": name}, {"$numbers": name}])
    )
    odd = st.one_of(own, own, st.builds(lambda kind, value: {kind: value}, st.sampled_from(MARKS), JUNK))
    junk = st.one_of(JUNK, JUNK, odd)
    if part is None:
        return {STATE: to_json(draw(edited(document, junk=junk)))}
    return {STATE: to_json({**document, part: draw(edited(document[part], junk=junk))})}


@st.composite
def other_tensors(draw: st.DrawFn) -> dict[str, bytes]:
    """Tensors of other shapes, types and names."""
    tensors = safetensors.torch.load(_part(TENSORS))
    shape = st.lists(st.integers(0, 6), max_size=3)
    kind = st.sampled_from([torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool, torch.bfloat16])
    fill = st.sampled_from([0, 1, 255, float("nan"), -1])
    other = st.builds(lambda s, k, f: torch.full(s, 1.0 * f).nan_to_num(7).to(k), shape, kind, fill)
    same = st.sampled_from(sorted(tensors))
    for name in draw(st.lists(same, min_size=1, max_size=3)):
        change = draw(st.sampled_from(["other", "other", "swap", "missing", "fill"]))
        if change == "missing":
            tensors.pop(name, None)
        elif change == "fill" and name in tensors:
            tensors[name] = torch.full_like(tensors[name], draw(st.sampled_from([0, 1])))
        else:
            tensors[name] = draw(other) if change == "other" else torch.clone(tensors.get(draw(same), torch.ones(1)))
    return {TENSORS: safetensors.torch.save(tensors)}


@st.composite
def damaged_files(draw: st.DrawFn) -> Folder:
    """Files changed, missing, or something else in their place; whole folders too."""
    written, _ = _whole()
    folders = _folders(written)
    chosen = draw(st.sampled_from([folders[-1:], folders[-1:], folders]))
    changes: dict[str, bytes | str] = {}
    for one in chosen:
        own = {name: content for name, content in written.items() if name.startswith(one)}
        changes.update(draw(changes_of(own)))
        if draw(st.integers(0, 9)) == 9:
            changes.update(dict.fromkeys(own, "missing"))
            changes[one] = draw(st.one_of(st.sampled_from(ODD), st.sampled_from(WHOLES)))
    return changes


def _put(changes: Any, folder: Path) -> None:
    put({**_whole()[0], **changes}, folder)


KINDS = (
    Kind("checkpoint: damaged files", damaged_files(), _noticed, _put, rewrites=("*",), share=3),
    Kind("checkpoint: other state", other_states(), _sealed, _seal, rewrites=("*",), share=4),
    Kind("checkpoint: other tensors", other_tensors(), _sealed, _seal, rewrites=("*",), share=2),
)
