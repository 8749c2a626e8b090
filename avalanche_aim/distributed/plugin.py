"""Data-parallel training as an Avalanche plugin."""

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from avalanche.benchmarks.utils.data_loader import MultiDatasetDataLoader
from avalanche.training.plugins import SupervisedPlugin
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from .exchange import broadcast_, check_same
from .passes import CHECKED_PASSES, SharedPasses
from .processes import on_main_process, rank, world_size


class DataParallel(SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Shares training and evaluation out over the processes that ``torchrun`` or ``accelerate launch`` started.

    Every process runs the same program on the same batches; the plugin shares the rows of each batch out inside the
    model's call, joins the outputs and averages the gradients. So all processes have the same losses, gradients,
    weights, memories, metrics and decisions, and they are those of one process with the whole batch. List it first::

        device = init_process_group()
        plugins=[DataParallel(), GradientStep(max_grad_norm=1.0), AIMMergingPlugin()]

    ``train_mb_size``, ``eval_mb_size`` and a ``micro_batch_size`` are per process, as usual in torch: the batch of an
    iteration is theirs times the processes, which is what ``strategy.train_mb_size`` says during training. Sizes that
    other plugins are given (``rehearsal={"batch_size": …}``, ``batch_size_mem``) are those of an iteration.

    The model stays as it is, without a wrapper. It takes a tensor with a row an example and returns one. Outside
    ``train`` and ``eval`` each process computes for itself. With one process nothing is changed at all.
    """

    def __init__(self) -> None:
        super().__init__()
        self._passes = SharedPasses()
        self._same_weights = False
        self._sizes: list[int] = []
        self._were_active: list[bool] = []

    @classmethod
    def of(cls, strategy: Any) -> "DataParallel":
        """Return the plugin of a strategy, or one that does nothing if it has none.

        :param strategy: the strategy.
        """
        return next((plugin for plugin in strategy.plugins if isinstance(plugin, cls)), None) or cls()

    @classmethod
    def check(cls, strategy: Any) -> None:
        """Refuse to train in several processes that do not know of each other.

        :param strategy: the strategy.
        :raises ValueError: if nothing averages its gradients.
        """
        wrapped = isinstance(strategy.model, DistributedDataParallel)
        if world_size() > 1 and not wrapped and not any(isinstance(plugin, cls) for plugin in strategy.plugins):
            raise ValueError(f"expected something that averages the gradients of {world_size()} processes, got none; "
                             "list DataParallel() as the first plugin")  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: what it keeps begins anew with each training and evaluation."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore nothing."""

    @property
    def world_size(self) -> int:
        """Over how many processes passes are shared out now."""
        return world_size() if self._passes.active else 1

    def deferred(self) -> AbstractContextManager[None]:
        """Let backward passes add up this process's gradients; the first one outside averages them."""
        return self._passes.deferred()

    def share_out(self, model: Any, rows: list[int], work: Callable[[list[int]], list[Any]]) -> list[Any]:
        """Share work on single rows out, other than by a call of the model.

        :param model: what works; one whose weights are shared out too (FSDP) works on all rows in all processes, since
            each of its passes needs all of them.
        :param rows: the same on all processes.
        :param work: gives a result for each of some rows.
        :return: the results for all rows, on all processes.
        """
        if self.world_size == 1 or _sharded(_all_weights(model)):
            return work(rows)
        parts: list[Any] = [None] * world_size()
        distributed.all_gather_object(parts, work(rows[rank() :: world_size()]))
        results: list[Any] = [None] * len(rows)
        for number, part in enumerate(parts):
            results[number :: world_size()] = part
        return results

    def before_training(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Begin with the same random streams on all processes, and with batches for all of them.

        :raises ValueError: if another plugin is listed before this one.
        """
        if world_size() == 1:
            return
        if strategy.plugins[0] is not self:
            first = type(strategy.plugins[0]).__name__
            raise ValueError(f"DataParallel: expected to be the first plugin, got {first} before it")
        self._begin(strategy)
        _share_random_state()
        self._sizes.append(strategy.train_mb_size)
        strategy.train_mb_size *= world_size()

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Begin with the first process's weights, also those that the model has only now."""
        if self.world_size > 1:
            self._same_weights = False
            self._begin_experience(strategy)

    def before_training_epoch(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Give every process whole batches, by now from the loader of a replay plugin, if there is one."""
        if self.world_size > 1:
            strategy.dataloader = _unshared(strategy.dataloader)

    def after_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Check that the processes have not come apart.

        :raises ValueError: if their weights differ.
        """
        if self.world_size > 1:
            weights = [p for p in strategy.model.parameters() if p.requires_grad]
            check_same("weights", weights, "a plugin or a criterion must not depend on the process")

    def after_training(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Put back what was before."""
        if self.world_size > 1:
            strategy.train_mb_size = self._sizes.pop()
            self._passes.active = self._were_active.pop()

    def before_eval(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Evaluate batches for all processes."""
        if world_size() > 1:
            self._begin(strategy)
            self._sizes.append(strategy.eval_mb_size)
            strategy.eval_mb_size *= world_size()

    def before_eval_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Give every process whole batches."""
        if self.world_size > 1:
            strategy.dataloader = _unshared(strategy.dataloader)
            self._begin_experience(strategy)

    def after_eval(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Put back what was before."""
        if self.world_size > 1:
            strategy.eval_mb_size = self._sizes.pop()
            self._passes.active = self._were_active.pop()

    def _begin(self, strategy: Any) -> None:
        self._passes.attach(strategy.model)
        self._were_active.append(self._passes.active)
        self._same_weights = self._same_weights and self._passes.active
        self._passes.active = True

    def _begin_experience(self, strategy: Any) -> None:
        self._passes.to_check = CHECKED_PASSES
        if _sharded(strategy.model.parameters()):
            raise ValueError("DataParallel: expected whole trainable weights, got some that are sharded; leave those "
                             "out: fully_shard(…, ignored_params=set(model.parameters()))")  # fmt: skip
        if not self._same_weights:
            check_same("frozen weights", _sample_of_frozen(strategy.model), "load the same model on all of them")
            broadcast_([*strategy.model.parameters(), *strategy.model.buffers()])
            self._same_weights = True


def _share_random_state() -> None:
    """Go on from the first process's random streams, from which loaders and buffers draw."""
    torch_state, numpy_state, python_state = on_main_process(
        lambda: (torch.get_rng_state(), np.random.get_state(), random.getstate())
    )
    torch.set_rng_state(torch_state)
    np.random.set_state(numpy_state)
    random.setstate(python_state)


def _all_weights(model: Any) -> Iterator[Tensor]:
    """All weights, those that a LanguageModel hides as well."""
    return getattr(model, "backbone", model).parameters()


def _sharded(weights: Iterable[Tensor]) -> bool:
    """Whether some weight is spread over the processes (FSDP)."""
    from torch.distributed.tensor import DTensor  # takes a second, and only several processes need it

    return any(isinstance(weight, DTensor) for weight in weights)


def _sample_of_frozen(model: Any) -> Iterator[Tensor]:
    """Some numbers of each frozen weight that lies here whole: all of them would take seconds."""
    for weight in _all_weights(model):
        if not weight.requires_grad and not weight.is_meta and type(weight.data) is Tensor:
            numbers = weight.reshape(-1)
            yield numbers[:: max(1, len(numbers) // 16)]


def _unshared(loader: Any) -> Any:
    """Avalanche's loaders share data out by themselves, in the same order each epoch; take one that does not."""
    if not isinstance(loader, MultiDatasetDataLoader) or not loader.distributed_sampling:
        return loader
    return MultiDatasetDataLoader(
        loader.datasets,
        loader.batch_sizes,
        loader.termination_dataset,
        loader.oversample_small_datasets,
        distributed_sampling=False,
        never_ending=loader.never_ending,
        **loader.loader_kwargs,
    )
