"""How an iteration's gradients are made: in micro-batches, scaled for fp16, clipped."""

import math
from typing import Any

import torch
from avalanche.training.plugins import SupervisedPlugin
from torch import Tensor
from torch.amp import GradScaler

from ..distributed import DataParallel


class GradientStep(SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Makes the gradients of an iteration in micro-batches, with loss scaling, and clips them.

    The data loader's batch stays the iteration: the clock, AIM's signals, schedules and other plugins count optimizer
    steps. Its gradient is added up over micro-batches, each weighted by its share of the examples, and is that of the
    whole batch for a criterion that averages over examples and a model that treats examples apart (batch norm does
    not). The passes of :class:`~avalanche_aim.AIMMergingPlugin` over its memory are made in the same way::

        plugins=[GradientStep(micro_batch_size=2, max_grad_norm=1.0), AIMMergingPlugin()]

    List it first, or after :class:`~avalanche_aim.DataParallel`: plugins that read gradients after the backward pass
    (A-GEM, GEM) then see them unscaled.

    Plugins see the whole batch, the whole output and the whole loss; penalties on the weights (EWC) are added once.
    Only a loss of another plugin on the outputs (LwF) would lose the micro-batches that are gone by then. That, and
    a criterion that is no average over examples, is found out and refused.

    Where scaled gradients overflow, that optimizer step changes nothing and the scale falls; it is counted nonetheless.

    :param micro_batch_size: examples that pass through the model at a time, in each process; all of them by default.
    :param max_grad_norm: the gradient norm at which the optimizer's weights are clipped together; infinity for none.
    :param scaler: scales the loss where autocast is in fp16: ``torch.amp.GradScaler("cuda")``. None for no scaling.
    :raises ValueError: for a micro-batch without examples or a norm that is not positive.
    """

    def __init__(
        self,
        micro_batch_size: int | None = None,
        max_grad_norm: float = math.inf,
        scaler: GradScaler | None = None,
    ) -> None:
        super().__init__()
        if micro_batch_size is not None and micro_batch_size < 1:
            raise ValueError(f"micro_batch_size: expected at least 1 example or None, got {micro_batch_size}")
        if not max_grad_norm > 0:
            raise ValueError(f"max_grad_norm: expected a positive number or infinity, got {max_grad_norm}")
        self.micro_batch_size = micro_batch_size
        self.max_grad_norm = max_grad_norm
        self.scaler = GradScaler(enabled=False) if scaler is None else scaler
        self._scaling = LossScaling(self.scaler)
        self._whole: Any = None
        self._outputs: list[Tensor] = []
        self._made: list[Tensor] = []

    @classmethod
    def of(cls, strategy: Any) -> "GradientStep":
        """Return the plugin of a strategy, or one that does nothing if it has none."""
        return next((plugin for plugin in strategy.plugins if isinstance(plugin, cls)), None) or cls()

    def loss(self, strategy: Any) -> Tensor:
        """Return the loss of the strategy's batch, its gradients zero; :meth:`backward` follows where they are made."""
        self.before_forward(strategy)
        strategy.mb_output = DataParallel.of(strategy).weighed(strategy.forward())
        self.after_forward(strategy)
        loss: Tensor = strategy.criterion()
        return loss

    def backward(self, strategy: Any, loss: Tensor) -> None:
        """Make the gradients of a loss from :meth:`loss`."""
        self.scaler.scale(loss).backward()
        self._unscale(strategy.optimizer)

    def state_dict(self) -> dict[str, Any]:
        """Return the scaler's state."""
        return {"scaler": self.scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.scaler.load_state_dict(state["scaler"])

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Make ready to scale the loss after all plugins."""
        if self.scaler.is_enabled() and self._scaling not in strategy.plugins:
            strategy.plugins.append(self._scaling)

    def before_forward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Make the gradients of all micro-batches but the last, which is left to the strategy."""
        self._whole, self._outputs, self._made = strategy.mbatch, [], []
        rows = len(self._whole[0])
        parallel = DataParallel.of(strategy)
        most = rows if parallel.rows is None else parallel.rows.most
        fillers, (*earlier, last) = _split(self._whole, self.micro_batch_size or most, most)
        for count, part in [*((0, filler) for filler in fillers), *((len(part[0]), part) for part in earlier)]:
            strategy.mbatch = part
            with parallel.deferred():
                output = strategy.mb_output = parallel.weighed(strategy.forward())
                _check_rows(output, len(part[0]))
                loss = strategy.criterion() * (count / rows)
                if torch.is_grad_enabled():
                    if count:
                        output.register_hook(self._made.append)
                    self.scaler.scale(loss).backward()
            if count:
                self._outputs.append(output.detach().requires_grad_())
        strategy.mbatch = last

    def after_forward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Give the strategy its whole batch back, and the whole output."""
        if self._outputs:
            _check_rows(strategy.mb_output, len(self._whole[0]) - sum(map(len, self._outputs)))
            strategy.mb_output = torch.cat([*self._outputs, strategy.mb_output])
            strategy.mbatch = self._whole
        self._whole = None

    def after_backward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Check that the gradients are those of the whole batch; unscale them and the loss."""
        if self._made:
            _check_same(self._made, self._outputs)
        self._outputs, self._made = [], []
        if self.scaler.is_enabled():
            strategy.loss = self._scaling.unscaled
        self._unscale(strategy.optimizer)

    def before_update(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Clip the gradients."""
        if math.isfinite(self.max_grad_norm):
            weights = [weight for group in strategy.optimizer.param_groups for weight in group["params"]]
            torch.nn.utils.clip_grad_norm_(weights, self.max_grad_norm)

    def _unscale(self, optimizer: Any) -> None:
        if not self.scaler.is_enabled():
            return
        self.scaler.unscale_(optimizer)
        scale = self.scaler.get_scale()
        self.scaler.update()
        if self.scaler.get_scale() < scale:  # an overflow: without gradients the optimizer steps over the weights
            optimizer.zero_grad(set_to_none=True)


class LossScaling(SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Scales the loss for the backward pass; the last of the plugins, as others add to the loss before it."""

    def __init__(self, scaler: GradScaler) -> None:
        super().__init__()
        self.scaler = scaler
        self.unscaled: Any = None

    def before_backward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.unscaled = strategy.loss
        strategy.loss = self.scaler.scale(strategy.loss)

    def after_backward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.unscaled = None


def _split(batch: Any, size: int, most: int) -> tuple[list[Any], list[Any]]:
    """Cut a batch, a list of tensors, into such lists; one of ``size`` examples at most stays as it is.

    All processes make as many parts as the one with ``most`` rows: passes of a sharded model have to meet. The fillers,
    which come first, make up for those that this process's rows lack.
    """
    parts = [batch]
    if len(batch[0]) > size:
        parts = [list(part) for part in zip(*(field.split(size) for field in batch), strict=True)]
    missing = -(-most // size) - len(parts)
    return [[field[-1:] for field in batch] for _ in range(missing)], parts


def _check_rows(output: Any, rows: int) -> None:
    got = len(output) if isinstance(output, Tensor) else type(output).__name__
    if got != rows:
        raise ValueError(
            f"micro_batch_size: expected a model whose output is one tensor with a row an example, {rows} here, got "
            f"{got}; a strategy that adds examples just before the forward pass (DER) needs micro_batch_size=None"
        )


def _check_same(made: list[Tensor], outputs: list[Tensor]) -> None:
    """Compare the gradient that outputs were given with the one that the loss of the whole batch asks for."""
    given = torch.cat(made)
    asked = torch.cat([torch.zeros_like(output) if output.grad is None else output.grad for output in outputs])
    tolerance = max(1e-3, 4 * torch.finfo(given.dtype).eps)
    # What is not finite compares as not greater: the scaler's business.
    if bool((given - asked).abs().max() > tolerance * torch.maximum(given.abs().max(), asked.abs().max())):
        raise ValueError(
            "micro_batch_size: expected a loss that is a mean over examples of a criterion of each, got one whose "
            "gradient in micro-batches is another than in the whole batch; a criterion that sums or weighs examples, "
            "or a plugin that adds a loss on the outputs (LwF, ER-ACE), needs micro_batch_size=None"
        )
