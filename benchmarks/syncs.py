"""Host-device synchronisations per iteration, counted.

On an accelerator the host waits wherever a value is read back: ``.item()``, ``float(tensor)``, ``.tolist()``,
comparing two tensors, and operations whose result's size depends on values. They are counted on the CPU, by a hook on
every operation, for Naive and for AIM; what AIM adds to an iteration is the difference. The optimizer is SGD: Adam
reads step counts that it keeps on the CPU, which is no synchronisation but would be counted here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from avalanche.training.plugins import SupervisedPlugin
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from avalanche_aim.text.model.language_model import WATCHED_PASSES
from benchmarks.figures import Figure, Options
from benchmarks.workload import Workload, plugin_of

EVERY = 4
"""Iterations from one monitored iteration to the next."""
READS = {"_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero", "masked_select", "_unique2",
         "unique_consecutive", "unique_dim", "bincount", "repeat_interleave"}  # fmt: skip
INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_"}


def figures(options: Options) -> list[Figure]:
    """Count, on a tiny language model.

    :param options: with what to measure; always a tiny model, since the counts do not depend on its size.
    """
    work = Workload(options, 2, WATCHED_PASSES + 24, options.model if options.is_tiny else "tiny")
    naive, strategy = work.strategy("naive"), work.strategy("aim-paper", rehearsal={"monitor_every": EVERY})
    for one in (naive, strategy):
        one.optimizer = torch.optim.SGD(one.model.parameters(), lr=1e-3)
    added = added_by_aim(naive, strategy, work.stream, first=WATCHED_PASSES)
    return [
        Figure("synchronisations that AIM adds to an iteration not monitored, at most", [max(added["plain"])], 0.0),
        Figure("… to a monitored iteration, the model's own in that pass included", added["monitored"]),
        Figure("… to an iteration with a merge and its memory iterations, the model's own included", added["merged"]),
        Figure("synchronisations of a Naive iteration, all the model's own", added["naive"]),
    ]


def added_by_aim(naive: Any, aim: Any, stream: Any, first: int = 0) -> dict[str, list[float]]:
    """Count the synchronisations that AIM adds to iterations of the second experience, by kind of iteration.

    :param naive: a strategy without AIM.
    :param aim: the same with AIM.
    :param stream: of two experiences.
    :param first: iterations that are left out: in the first ones a language model checks gradients.
    :return: under "plain", "monitored" and "merged"; and Naive's own counts under "naive".
    """
    base, counts = counted(naive, stream), counted(aim, stream)
    added: dict[str, list[float]] = {"plain": [], "monitored": [], "merged": [], "naive": base[first:]}
    for kind, before, count in list(zip(kinds_of(aim, len(base)), base, counts, strict=True))[first:]:
        added[kind].append(count - before)
    return added


def counted(strategy: Any, stream: Any) -> list[float]:
    """Train two experiences, and count in each iteration of the second.

    :param strategy: any.
    :param stream: of the experiences.
    """
    strategy.train(stream[0])
    counter = _Counter()
    strategy.plugins.append(counter)
    with counter.on():
        strategy.train(stream[1])
    strategy.plugins.remove(counter)
    return counter.counts


def kinds_of(strategy: Any, iterations: int) -> list[str]:
    """Say of each iteration of the last experience whether it was plain, monitored, or ended with a merge.

    :param strategy: with AIM, trained.
    :param iterations: how many there were.
    """
    history = plugin_of(strategy).history
    merged = {record.iteration for record in history.merges}
    monitored = {record.iteration for record in history.iterations}
    numbers = range(1, iterations + 1)
    return ["merged" if i in merged else "monitored" if i in monitored else "plain" for i in numbers]


class _Counter(SupervisedPlugin):
    """Last of the plugins: an iteration's count ends with its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: list[float] = []
        self._dispatch = _Dispatch()
        self._function = _Function()

    @contextmanager
    def on(self) -> Iterator[None]:
        """Count what happens inside."""
        with self._dispatch, self._function:
            yield

    def before_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        """Forget what came before the first iteration."""
        if not self.counts:
            self._take()

    def after_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        """Note an iteration's count."""
        self.counts.append(self._take())

    def _take(self) -> float:
        count = self._dispatch.count + self._function.count
        self._dispatch.count = self._function.count = 0
        return float(count)


class _Dispatch(TorchDispatchMode):
    """Counts operations that read values."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.__name__.split(".")[0]
        # A mask as an index selects a number of elements that only its values tell.
        masked = name in INDEXED and any(
            isinstance(i, Tensor) and i.dtype in (torch.bool, torch.uint8) for i in args[1]
        )
        self.count += name in READS or masked
        return func(*args, **(kwargs or {}))


class _Function(TorchFunctionMode):
    """Counts what is no operation where the tensor is on the CPU already."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func in (Tensor.tolist, Tensor.numpy, Tensor.cpu)
        return func(*args, **(kwargs or {}))
