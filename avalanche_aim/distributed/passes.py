"""A model's passes, shared out over processes inside the model's own call."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .exchange import average_gradients_, broadcast_, check_same, gather_rows
from .processes import rank, world_size

CHECKED_PASSES = 16
"""Passes of each experience whose batches are checked to be the same on all processes."""


@dataclass(frozen=True)
class Share:
    """The rows of a batch that are this process's: ``rows[start:stop]``, none of a batch smaller than all processes."""

    rows: int

    @property
    def size(self) -> int:
        """Rows of each process but the last ones, which may have fewer."""
        return -(-self.rows // world_size())

    @property
    def start(self) -> int:
        return min(rank() * self.size, self.rows)

    @property
    def stop(self) -> int:
        return min(self.start + self.size, self.rows)

    def of(self, value: Any) -> Any:
        """Cut an argument of the model: a tensor with a row an example; any other stays as it is.

        A process that has no row passes the last one, so that it takes part in whatever the model does; its output is
        thrown away.
        """
        if not isinstance(value, Tensor) or value.dim() == 0 or len(value) != self.rows:
            return value
        return value[self.start : self.stop] if self.start < self.stop else value[-1:]


class SharedPasses:
    """Lets each process pass its share of a batch through the model, and gives the whole output to all of them.

    All processes call the model with the same batch. Hooks cut the share out of its arguments, and gather the output;
    the gradient of a share's output is taken from that of the whole. When a backward pass is over, the gradients of the
    weights are averaged. So whoever calls the model, and looks at the batch, the output, the loss or the gradients,
    sees what one process would have.
    """

    def __init__(self) -> None:
        self.active = False
        """Whether passes are shared out now; otherwise each process computes for itself."""
        self.to_check = 0
        """How many passes from now on are checked."""
        self._deferred = False
        self._attached: nn.Module | None = None
        self._open: list[tuple[Share, _OwnNoise]] = []

    def attach(self, model: nn.Module) -> None:
        """Share out the passes of a model, and of copies made of it from now on.

        :param model: the model; one that is attached already is left as it is.
        """
        if self._attached is model:
            return
        self._attached = model

        # Functions, not methods: a copy of the model then uses this object, not a copy of it.
        def enter(module: nn.Module, args: Any, kwargs: Any) -> Any:
            return self._enter(module, args, kwargs) if self.active else None

        def leave(module: nn.Module, args: Any, output: Any) -> Any:
            return self._leave(module, output) if self.active else None

        model.register_forward_pre_hook(enter, with_kwargs=True)
        model.register_forward_hook(leave, prepend=True)  # other hooks see the whole output

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Leave the averaging to a later backward pass, which averages what is added up until then."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        x = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
        if x is None or x.dim() == 0:
            raise ValueError("DataParallel: expected a model that is called with a tensor with a row an example")
        if self.to_check > 0:
            self.to_check -= 1
            check_same("batch", [x], "a data loader that shares out examples by itself (A-GEM's) cannot be used, and "
                       "plugins need the same seeds on all processes")  # fmt: skip
        share = Share(len(x))
        self._open.append((share, _OwnNoise(x.device)))
        return tuple(map(share.of, args)), {name: share.of(value) for name, value in kwargs.items()}

    def _leave(self, module: Any, output: Any) -> Tensor:
        share, noise = self._open.pop()
        noise.end()
        if module.training:
            broadcast_(module.buffers())  # as DDP does: statistics of batch norm are the first process's
        passed = max(1, share.stop - share.start)
        if not isinstance(output, Tensor) or output.dim() == 0 or len(output) != passed:
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ValueError(f"DataParallel: expected a model whose output is one tensor of {passed} rows, got {got}")
        matches = getattr(output, "exact_match", None)  # a LanguageModel's output carries them along
        weights = [p for p in module.parameters() if p.requires_grad]

        def average() -> None:
            if not self._deferred:
                average_gradients_(weights)

        whole: Any = _Gather.apply(output, share, average)
        if matches is not None:
            own = matches[: share.stop - share.start].byte()
            whole.exact_match = gather_rows(own, share.size, share.rows).bool()
        return whole


class _Gather(torch.autograd.Function):
    """Joins the outputs of all processes; backward gives each the gradient of its own, and then averages."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, share: Share, average: Callable[[], None]) -> Tensor:
        ctx.shape, ctx.share, ctx.average = output.shape, share, average
        return gather_rows(output[: share.stop - share.start], share.size, share.rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        torch.autograd.Variable._execution_engine.queue_callback(ctx.average)
        own = gradient.new_zeros(ctx.shape)
        # Each process has a part of the sum over examples, of which the mean is taken; what is the same on all of them
        # (a penalty on the weights) keeps its own measure in that mean.
        own[: ctx.share.stop - ctx.share.start] = gradient[ctx.share.start : ctx.share.stop] * world_size()
        return own, None, None


class _OwnNoise:
    """Noise (dropout) of a pass that is another on each process, while the common random streams stay common.

    It begins from a number drawn from the common stream, which counts as drawn only if the pass drew anything: without
    dropout the streams are those of one process.

    :param device: where the pass runs.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._before = self._state()
        seed = int(torch.randint(2**62, (1,), device="cpu"))
        self._drawn = torch.get_rng_state()
        torch.default_generator.manual_seed(seed + rank())
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed + rank())
        self._start = self._state()

    def end(self) -> None:
        """Go on with the common streams."""
        drew = any(not torch.equal(now, start) for now, start in zip(self._state(), self._start, strict=True))
        torch.set_rng_state(self._drawn if drew else self._before[0])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(self._before[1], self.device)

    def _state(self) -> list[Tensor]:
        state = [torch.get_rng_state()]
        return [*state, torch.cuda.get_rng_state(self.device)] if self.device.type == "cuda" else state
