"""Memory held beyond plain training, counted in copies of the trainable weights.

All tensors of the process are counted, of AIM and of Naive in the same places, and subtracted: between merges, when an
iteration has ended, and at the highest point of a merge (Naive: of an iteration) outside forward and backward passes,
whose activations are none of ours. All weights are trained, so that batches are small beside them.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from avalanche.training.plugins import SupervisedPlugin
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from avalanche_aim.rehearsal import MemoryFineTuning
from benchmarks.figures import Figure, Options
from benchmarks.workload import Workload, plugin_of

BETWEEN_LIMIT, DURING_LIMIT = 2.0, 3.0


def figures(options: Options) -> list[Figure]:
    """Count, for each optimizer state of the memory fine-tuning.

    :param options: with what to measure; always a tiny model, since the counts do not depend on its size.
    """
    work = Workload(options, 2, model=options.model if options.is_tiny else "tiny", lora=False)
    result = []
    for state in ("own", "fresh", "shared"):
        between, during = held(lambda name, state=state: _strategy(work, name, state), work.stream)
        note = " (default of the paper preset)" if state == "own" else ""
        result += [
            Figure(f"copies between merges, optimizer={state}{note}", [between], BETWEEN_LIMIT),
            Figure(f"copies during a merge, optimizer={state}{note}", [during], DURING_LIMIT),
        ]
        if state == "own":
            moments = _moments(work)
            result += [
                Figure("… between merges, without the optimizer state of its own", [between - moments], BETWEEN_LIMIT),
                Figure("… during a merge, without the optimizer state of its own", [during - moments], DURING_LIMIT),
            ]
    return result


def held(strategy_of: Callable[[str], Any], stream: Any) -> tuple[float, float]:
    """Count what AIM holds beyond Naive, in copies of the trainable weights, rounded to a tenth.

    :param strategy_of: makes the strategy "naive" or "aim".
    :param stream: its experiences; merges must happen in the second.
    :return: between merges, and at the highest point of a merge.
    """
    levels = {}
    gc.collect()
    gc.freeze()  # what is there already is not counted, nor looked at
    for name in ("naive", "aim"):
        strategy = strategy_of(name)
        gauge = _Gauge(strategy)
        strategy.plugins.append(gauge)
        for experience in stream[:2]:
            strategy.train(experience)
        levels[name] = gauge.between, max(gauge.during, gauge.between)
        weights = sum(p.numel() * p.element_size() for p in strategy.model.parameters() if p.requires_grad)
        strategy.plugins.remove(gauge)
        del strategy, gauge
        gc.collect()
    gc.unfreeze()
    between, during = ((aim - naive) / weights for aim, naive in zip(levels["aim"], levels["naive"], strict=True))
    return round(between, 1), round(during, 1)


class _Gauge(SupervisedPlugin):
    """Notes the bytes held after each iteration of the second experience, and the peak of its merges or iterations."""

    def __init__(self, strategy: Any) -> None:
        super().__init__()
        self.between = self.during = 0
        self._others = _live_bytes() - _bytes_of(strategy.model.parameters())
        self._stack: Any = None

    def before_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        """Begin to watch; a merge happens at the end of an iteration."""
        if strategy.experience.current_experience == 1:
            self._stack = _watched(strategy)
            self._peak = self._stack.__enter__()

    def after_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        """Note what is held."""
        if self._stack is not None:
            self.during = max(self.during, self._peak.highest - self._others)
            self._stack.__exit__(None, None, None)
            self._stack = None
            gc.collect()
            self.between = max(self.between, _live_bytes() - self._others)


class _Peak(TorchDispatchMode):
    """Follows the storages that come to life, and notes how much is alive after each operation outside a pass."""

    def __init__(self) -> None:
        super().__init__()
        self.inside_pass = False
        gc.collect()
        self._storages = {t.untyped_storage()._cdata: _weak(t) for t in _live_tensors()}
        self.highest = self._total()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_iter(out):
            if isinstance(tensor, Tensor):
                self._storages[tensor.untyped_storage()._cdata] = _weak(tensor)
        if not self.inside_pass:
            self.highest = max(self.highest, self._total())
        return out

    def _total(self) -> int:
        self._storages = {key: entry for key, entry in self._storages.items() if not entry[0].expired()}
        return sum(size for _, size in self._storages.values())


@contextmanager
def _watched(strategy: Any) -> Iterator[_Peak]:
    """Watch, except while activations are alive."""
    peak = _Peak()

    def marked(function: Callable[..., Any], ends: Callable[[], bool]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            peak.inside_pass = True
            try:
                return function(*args, **kwargs)
            finally:
                peak.inside_pass = not ends()

        return call

    # Activations live from the forward to the end of the backward pass, or of the criterion where there is none.
    backward = Tensor.backward
    strategy.forward = marked(strategy.forward, lambda: False)
    strategy.criterion = marked(strategy.criterion, lambda: not torch.is_grad_enabled())
    Tensor.backward = marked(backward, lambda: True)  # type: ignore[method-assign]
    try:
        with peak:
            yield peak
    finally:
        Tensor.backward = backward  # type: ignore[method-assign]
        del strategy.forward, strategy.criterion


def _strategy(work: Workload, name: str, state: str) -> Any:
    return work.strategy("aim-paper", rehearsal={"optimizer": state}) if name == "aim" else work.strategy(name)


def _moments(work: Workload) -> float:
    """The size of the optimizer state of its own, in copies."""
    strategy = work.strategy("aim-paper")
    for experience in work.stream[:2]:
        strategy.train(experience)
    rehearsal = plugin_of(strategy).rehearsal
    assert rehearsal is not None
    fine_tuning: MemoryFineTuning = rehearsal.fine_tuning
    state = [t for entry in fine_tuning._own.values() for t in entry.values() if isinstance(t, Tensor)]
    return round(_bytes_of(state) / _bytes_of(p for p in strategy.model.parameters() if p.requires_grad), 1)


def _live_tensors() -> list[Tensor]:
    return [t for t in gc.get_objects() if issubclass(type(t), Tensor) and t.layout is torch.strided
            and t.device.type != "meta"]  # fmt: skip


def _live_bytes() -> int:
    return _bytes_of(_live_tensors())


def _bytes_of(tensors: Any) -> int:
    return sum({t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in tensors}.values())


def _weak(tensor: Tensor) -> tuple[StorageWeakRef, int]:
    storage = tensor.untyped_storage()
    return StorageWeakRef(storage), storage.nbytes()
