"""A Trainer of Transformers as the engine that the method drives."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from itertools import cycle, islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..rehearsal.fine_tuning import changed_rates
from ..training.passing import refused_as

COUNTED = ("_metrics", "_total_train_tokens")
"""What TRL's trainers count in ``compute_loss``; memory batches are not to be among it."""


class TrainerEngine:
    """Passes batches of the memory through a Trainer as it passes its own: collator, loss, precision, processes.

    A batch is a list of one field, the rows. An iteration is an optimizer step, so that a memory batch has as many rows
    as all accumulated batches of all processes together, and is passed in parts of their size. Each process takes its
    share of the rows; where they don't go round, the first ones are taken again, as Accelerate does with a last batch.
    """

    def __init__(self, trainer: Any, collate: Callable[[list[Any]], Any]) -> None:
        self.trainer = trainer
        self.collate = collate
        self.model: nn.Module = trainer.model
        self.optimizer: Optimizer = getattr(trainer.optimizer, "optimizer", trainer.optimizer)  # under Accelerate's
        self.device: torch.device = trainer.args.device
        self.published: dict[str, float] = {}
        """The newest numbers by name."""
        self.weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        """Those that are trained; looked for once, since a large model's modules take milliseconds to walk."""
        self._processes: int = trainer.args.world_size
        self._gradients: list[Tensor | None] = []
        self._loss_before = torch.zeros(())

    @property
    def batch_size(self) -> int:
        """Examples of an optimizer step, in all processes."""
        steps: int = self.trainer.args.gradient_accumulation_steps
        return self.at_once * steps

    @property
    def at_once(self) -> int:
        """Examples of it that pass through the models of all processes at a time."""
        size: int = self.trainer._train_batch_size
        return size * self._processes

    @property
    def iterations(self) -> int:
        """Optimizer steps of the training."""
        steps: int = self.trainer.state.max_steps
        return steps

    @property
    def training_loss(self) -> Tensor:
        """The loss of this optimizer step, in all processes."""
        loss: Tensor = self.trainer._tr_loss - self._loss_before
        gradients = [gradient for gradient in self._gradients if gradient is not None]
        if self.trainer.args.logging_nan_inf_filter and gradients:
            # That setting puts another loss in the place of one that is not finite, but the gradients tell.
            loss = loss + 0 * min(gradients, key=Tensor.numel).sum().to(loss)
        return self._mean(loss)

    def begin_step(self) -> None:
        """Take note of the losses that were summed up before an optimizer step."""
        self._loss_before = self.trainer._tr_loss.clone()

    def keep_gradients(self) -> None:
        """Take hold of the gradients of an optimizer step before the Trainer lets go of them."""
        self._gradients = [weight.grad for weight in self.weights]

    @contextmanager
    def kept_gradients(self) -> Iterator[None]:
        """Give the weights those gradients, for what the method measures of them."""
        for weight, gradient in zip(self.weights, self._gradients, strict=True):
            weight.grad = gradient
        try:
            yield
        finally:
            self._gradients = []
            for weight in self.weights:
                weight.grad = None

    def at_peak(self) -> AbstractContextManager[None]:
        """Put learning rates back to where their decay began: at its end a memory fine-tuning would change nothing."""
        return changed_rates(self.optimizer, lambda group: group.get("initial_lr", group["lr"]))

    def loss(self, batch: Any, at_once: int | None = None) -> Tensor:
        """Return the loss of a batch, in all processes; the gradients of all parts but the last are made already.

        :param at_once: examples of a part, in all processes; all of them by default.
        :raises ValueError: if the Trainer cannot pass such a batch, though it does its own.
        """
        rows = self._own(batch[0])
        size = len(rows) if at_once is None else max(1, at_once // self._processes)
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]
        with self._passing("model"):
            return self._mean_value(self._loss(parts, len(rows)))

    def collated(self, rows: list[Any]) -> Any:
        """Return a batch as the model takes it; a ValueError if the collator cannot make one."""
        with self._passing("collator"):
            return self._collated(rows)

    def backward(self, loss: Tensor) -> None:
        """Make the gradients of a loss from :meth:`loss`; none where they overflow in fp16."""
        accelerator = self.trainer.accelerator
        accelerator.backward(loss)
        if accelerator.scaler is not None:
            accelerator.scaler.unscale_(self.optimizer)
            scale = accelerator.scaler.get_scale()
            accelerator.scaler.update()
            if accelerator.scaler.get_scale() < scale:  # without gradients the optimizer steps over the weights
                self.optimizer.zero_grad(set_to_none=True)

    def mean(self, value: float) -> float:
        """Return the mean over all processes."""
        if self._processes == 1:
            return value
        return float(self._mean(torch.tensor(value, dtype=torch.float64, device=self.device)))

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Put back what the Trainer counts in its losses."""
        counted = {name: deepcopy(vars(self.trainer)[name]) for name in COUNTED if name in vars(self.trainer)}
        try:
            yield
        finally:
            vars(self.trainer).update(counted)

    def publish(self, values: Mapping[str, float]) -> None:
        """Keep numbers for the Trainer's next log."""
        self.published.update({f"AIM/{name}": float(value) for name, value in values.items()})

    def _passing(self, what: str) -> AbstractContextManager[None]:
        return refused_as(
            f"AIMCallback cannot take part in {type(self.trainer).__name__}: its {what} does not pass a batch of "
            "single rows, or rows of earlier tasks",
            "; give all tasks the same columns, and a data collator that takes any of their rows",
        )

    def _own(self, rows: Sequence[Any]) -> list[Any]:
        """This process's share of some rows; as many for each process."""
        share = -(-len(rows) // self._processes)
        first = share * self.trainer.args.process_index
        return list(islice(cycle(rows), first, first + share))

    def _collated(self, rows: list[Any]) -> Any:
        return self.trainer._prepare_inputs(self.collate(rows))

    def _loss(self, parts: list[list[Any]], rows: int) -> Tensor:
        """Weigh parts as the Trainer does accumulated batches: by their tokens where its model can, else by rows."""
        trainer = self.trainer
        inputs = [self._collated(part) for part in parts]
        tokens = trainer._get_num_items_in_batch(inputs, self.device)
        weighted = trainer.loss_is_scaled_for_ga
        if weighted is None:
            weighted = (
                trainer.model_accepts_loss_kwargs and tokens is not None
            ) or trainer.compute_loss_func is not None
        total = torch.zeros((), device=self.device)
        for number, (part, given) in enumerate(zip(parts, inputs, strict=True), 1):
            last = number == len(parts)
            with nullcontext() if last else trainer.accelerator.no_sync(trainer.model_wrapped):
                with trainer.compute_loss_context_manager():
                    loss = trainer.compute_loss(trainer.model_wrapped, given, num_items_in_batch=tokens).mean()
                loss = loss if weighted else loss * (len(part) / rows)
                if loss.requires_grad and not last:
                    trainer.accelerator.backward(loss)
            total = total.detach() + loss
        return total

    def _mean_value(self, loss: Tensor) -> Tensor:
        """Let a loss be that of all processes, while its gradient stays this one's: the model's wrapper averages it."""
        return loss if self._processes == 1 else loss + (self._mean(loss.detach()) - loss.detach())

    def _mean(self, value: Tensor) -> Tensor:
        if self._processes == 1:
            return value
        gathered: Tensor = self.trainer.accelerator.gather(value.detach().reshape(1))
        return gathered.mean()
