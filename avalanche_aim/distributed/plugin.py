"""Data-parallel training, on torch's engines, as an Avalanche plugin."""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from avalanche.models import MultiTaskModule
from avalanche.training.plugins import SupervisedPlugin
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from .agreement import check_agreement, check_weights
from .ended import name_ended_processes
from .noise import OwnNoise
from .processes import broadcast_, check_joined, gathered, on_main_process, rank, world_size
from .rows import Rows, SharedLoader, is_shared, ordered_as_alone
from .sharding import check_sharded, is_sharded, reshard


class DataParallel(SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Trains in the processes that ``torchrun`` or ``accelerate launch`` started, on torch's engines.

    Each process loads and passes its own rows of every batch; torch reduces the gradients, with
    ``DistributedDataParallel`` or, where the model is sharded (:func:`~avalanche_aim.distributed.shard`), with
    ``fully_shard``. Losses are averaged, and the outputs of an evaluation gathered. So weights, decisions, memories and
    scores are those of one process with whole batches, to rounding. List it first::

        accelerator = Accelerator()
        plugins=[DataParallel(accelerator), GradientStep(max_grad_norm=1.0), AIMMergingPlugin()]

    ``train_mb_size``, ``eval_mb_size`` and a ``micro_batch_size`` are per process: an iteration's batch is theirs times
    the processes, as ``strategy.train_mb_size`` says during training. Other plugins' sizes are an iteration's.

    In training, plugins see this process's rows, and the loss and gradients of all; after an evaluation's forward pass
    they see all rows. One process trains as without it, launched or not, but for the accelerator's mixed precision.

    :param accelerator: an ``accelerate.Accelerator``, whose settings (mixed precision, what DDP is given) then count;
        None for plain DDP.
    """

    def __init__(self, accelerator: Any = None) -> None:
        super().__init__()
        self.accelerator = accelerator
        self.rows: Rows | None = None
        """Of the batch that is trained on or evaluated; None with one process."""
        self._engine: nn.Module | None = None
        self._model: Any = None
        self._sharded = False
        self._of: list[int] = []
        self._noise: OwnNoise | None = None
        self._sizes: list[int] = []

    @classmethod
    def of(cls, strategy: Any) -> "DataParallel":
        """Return the plugin of a strategy, or one that does nothing if it has none."""
        return next((plugin for plugin in strategy.plugins if isinstance(plugin, cls)), None) or cls()

    @classmethod
    def check(cls, strategy: Any) -> None:
        """Refuse, with a ValueError, to train in several processes whose gradients nothing averages."""
        wrapped = isinstance(strategy.model, DistributedDataParallel)
        if world_size() > 1 and not wrapped and not any(isinstance(plugin, cls) for plugin in strategy.plugins):
            raise ValueError(f"expected something that averages the gradients of {world_size()} processes, got none; "
                             "list DataParallel() as the first plugin")  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: what it keeps begins anew with each training and evaluation."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore nothing."""

    def weighed(self, output: Tensor) -> Tensor:
        """Return an output of the model whose gradient is weighed, so that all rows of the common batch count alike.

        On the gradient, not on the loss: penalties on the weights keep their own measure.
        """
        weight = 1.0 if self.rows is None else self.rows.weight
        if weight == 1.0 or not output.requires_grad:
            return output
        output.register_hook(lambda gradient: gradient * weight)
        return output.view_as(output)  # hooks of others see the gradient before

    def common(self, loss: Tensor) -> Tensor:
        """Return the loss of the common batch; its gradient goes to this process's loss, the mean over its own rows."""
        return loss if self.rows is None else _Common.apply(loss, self.rows.weight)

    def deferred(self) -> AbstractContextManager[None]:
        """Let backward passes add up this process's gradients; the first one outside averages them."""
        engine = _compiled(self._engine)
        return engine.no_sync() if isinstance(engine, DistributedDataParallel) else nullcontext()

    @contextmanager
    def passing(self, strategy: Any, batch: Any) -> Iterator[None]:
        """Pass this process's rows of a batch, a list of tensors, that all processes have."""
        before = self.rows
        if self._engine is not None and world_size() > 1:
            self.rows = Rows(len(batch[0]))
            batch = [self.rows.own(field) for field in batch]
        strategy.mbatch = batch
        if self._sharded:
            reshard(strategy.model)  # what a merge has written counts, and all processes gather alike
        self.before_forward(strategy)
        try:
            yield
        finally:
            self._close(strategy)
            self.rows = before
            if self._sharded and not torch.is_grad_enabled():
                reshard(strategy.model)

    def keep_first(self, strategy: Any, rows: int) -> None:
        """Leave all but the first rows of the common batch out of this iteration, before its forward pass."""
        if self.rows is not None:
            self.rows = Rows(rows)
            rows = max(1, self.rows.count)
        strategy.mbatch = [field[:rows] for field in strategy.mbatch]

    def share_out(self, model: Any, rows: list[int], work: Callable[[list[int]], list[Any]]) -> list[Any]:
        """Share work on single rows out, other than by a call of the model.

        :param model: what works; one that is sharded works on all rows in all processes, since each of its passes needs
            all of them.
        """
        if self.rows is None or is_sharded(model):
            return work(rows)
        results: list[Any] = [None] * len(rows)
        for number, part in enumerate(gathered(work(rows[rank() :: world_size()]))):
            results[number :: world_size()] = part
        return results

    def before_training(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Begin with the same random streams on all processes, and with batches for all of them."""
        check_joined()
        if world_size() == 1:
            return
        if strategy.plugins[0] is not self:
            first = type(strategy.plugins[0]).__name__
            raise ValueError(f"DataParallel: expected to be the first plugin, got {first} before it")
        name_ended_processes()
        _share_random_state()
        self._sizes.append(strategy.train_mb_size)
        strategy.train_mb_size *= world_size()

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Begin with the first process's weights, also new ones of the model; refuse what cannot be shared out."""
        self._close(strategy)
        if world_size() > 1:
            check_agreement(strategy, self)
        if world_size() > 1 or self.accelerator is not None:
            self._prepare(strategy)

    def before_training_epoch(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Load this process's rows, by now of the loader of a replay plugin, if there is one."""
        if world_size() == 1:
            strategy.dataloader = ordered_as_alone(strategy.dataloader)
        elif not is_shared(strategy.dataloader):
            strategy.dataloader = SharedLoader(strategy.dataloader, self._begin)

    def before_forward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Pass through the engine, with noise of this process's own."""
        if self._engine is not None:
            strategy.model = self._engine
        if self.rows is not None:
            self._noise = OwnNoise(strategy.device)

    def after_forward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Weigh the output's gradient."""
        self._close(strategy)
        if self.rows is not None:
            strategy.mb_output = self.weighed(strategy.mb_output)

    def before_backward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Show the loss of the common batch, to which other plugins add theirs; refuse rows that one has added."""
        if self.rows is None:
            return
        if len(strategy.mb_output) != max(1, self.rows.count):
            raise ValueError(f"DataParallel: expected an output of this process's {max(1, self.rows.count)} rows, got "
                             f"{len(strategy.mb_output)}: a strategy that adds examples to the batch by itself (DER, "
                             "ER-ACE, MIR) has to be trained in one process")  # fmt: skip
        strategy.loss = self.common(strategy.loss)

    def after_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Check that the processes have not come apart."""
        if world_size() > 1:
            self.rows = None
            check_weights(strategy.model)

    def after_training(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Put back what was before."""
        if world_size() > 1:
            strategy.train_mb_size = self._sizes.pop()

    def before_eval(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Evaluate batches for all processes."""
        if world_size() > 1:
            self._sizes.append(strategy.eval_mb_size)
            strategy.eval_mb_size *= world_size()

    def before_eval_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Load this process's rows, and evaluate with the first process's statistics."""
        if world_size() > 1:
            strategy.dataloader = SharedLoader(strategy.dataloader, self._begin)
            broadcast_(strategy.model.buffers())

    def after_eval_forward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Show all rows to criterion and metrics."""
        rows = self.rows
        if rows is None:
            return
        own, strategy.mbatch = strategy.mb_output, [rows.gather(field) for field in strategy.mbatch]
        strategy.mb_output = rows.gather(own)
        if (matches := getattr(own, "exact_match", None)) is not None:  # of a LanguageModel
            strategy.mb_output.exact_match = rows.gather(matches.byte()).bool()

    def after_eval_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Leave no weights in memory that would be out of date."""
        if world_size() > 1 and is_sharded(strategy.model):
            reshard(strategy.model)

    def after_eval(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Put back what was before."""
        if world_size() > 1:
            self.rows = None
            strategy.eval_mb_size = self._sizes.pop()

    def _begin(self, rows: Rows) -> None:
        self.rows = rows

    def _close(self, strategy: Any) -> None:
        if self._engine is not None and strategy.model is self._engine:
            strategy.model = self._model
        if self._noise is not None:
            self._noise.end()
            self._noise = None

    def _prepare(self, strategy: Any) -> None:
        """Hand the model to torch's engine, again where its weights are others."""
        model = self._model = strategy.model
        self._sharded = is_sharded(model)
        if self._sharded:
            check_sharded(strategy)
            self._engine = model
            return
        there = [id(weight) for weight in model.parameters()]
        if there == self._of:
            return
        self._engine, self._of = None, there
        if self.accelerator is not None:
            scalers = [getattr(plugin, "scaler", None) for plugin in strategy.plugins]
            if self.accelerator.mixed_precision == "fp16" and not any(
                s is not None and s.is_enabled() for s in scalers
            ):
                raise ValueError("expected a loss that is scaled, since Accelerate is set up for fp16; list "
                                 "GradientStep(scaler=accelerator.scaler), or choose bf16")  # fmt: skip
            self._engine = prepared(self.accelerator, model)
        else:
            broadcast_(model.buffers())
            several_heads = any(isinstance(module, MultiTaskModule) for module in model.modules())
            self._engine = DistributedDataParallel(model, find_unused_parameters=several_heads)


def prepared(accelerator: Any, model: nn.Module) -> nn.Module:
    """Let Accelerate prepare a model, in its mixed precision.

    :raises ValueError: if it asks for FSDP, which a model is prepared for before its optimizer is made.
    """
    if accelerator.distributed_type == "FSDP":
        raise ValueError("DataParallel: expected a sharded model, since Accelerate is set up for FSDP, got a whole "
                         "one; call shard(model, accelerator) before its optimizer is made")  # fmt: skip
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(accelerator.mixed_precision)
    if dtype is not None and getattr(model, "autocast", dtype) is None:  # a LanguageModel casts by itself
        model.autocast = dtype  # type: ignore[assignment]
    accelerator.free_memory()  # of an earlier engine, from before the model grew
    engine: nn.Module = accelerator.prepare_model(model)
    if world_size() > 1 and not isinstance(_compiled(engine), DistributedDataParallel):
        engine = DistributedDataParallel(engine)  # Accelerate takes torchrun's processes on CPUs for single ones
    return engine


def _compiled(engine: Any) -> Any:
    """What is inside of what ``torch.compile`` has made of an engine."""
    return getattr(engine, "_orig_mod", engine)


class _Common(torch.autograd.Function):
    """The mean of a loss over all rows of all processes; backward is that of this process's loss."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, weight: float) -> Tensor:
        total = own.detach() * weight
        if weight == 0:
            total = torch.zeros_like(own)  # whatever the filler's loss is
        distributed.all_reduce(total)
        return total / world_size()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def _share_random_state() -> None:
    """Go on from the first process's random streams, from which loaders and buffers draw."""
    torch_state, numpy_state, python_state = on_main_process(
        lambda: (torch.get_rng_state(), np.random.get_state(), random.getstate())
    )
    torch.set_rng_state(torch_state)
    np.random.set_state(numpy_state)
    random.setstate(python_state)
