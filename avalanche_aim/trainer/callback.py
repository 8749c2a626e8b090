"""AIMMerging as a callback of ``transformers.Trainer``: the events, and nothing else."""

from collections.abc import Callable
from itertools import accumulate
from typing import Any

from transformers import TrainerCallback

from ..checkpoint.folder import Checkpoint
from ..merging import IterativeMerging
from ..rehearsal.memory import RehearsalMemory
from ..rehearsal.method import Method
from ..training.isolation import RandomStream
from . import saved
from .engine import TrainerEngine
from .refusals import check_trainer
from .rows import Rows, check_numbered, label_numbers


class AIMCallback(Method, TrainerCallback):
    """Continual learning by adaptive iterative model merging (AIMMerging, arXiv 2509.17348), in a Trainer.

    The same object goes from task to task; each call of ``train()`` is a task, with a new Trainer of the same model or
    with another ``train_dataset`` of the same Trainer::

        aim = AIMCallback(memory=0.02)
        for dataset in tasks:
            trainer = Trainer(model=model, args=arguments, train_dataset=dataset)
            aim.bind(trainer)
            trainer.train()

    An iteration is an optimizer step. ``history`` holds every merge and every monitored iteration; the newest numbers
    join the Trainer's own logs, under ``AIM/``. Its state is saved beside each checkpoint of the Trainer, which resumes
    as usual. On the first task, and wherever nothing is merged, training is to the bit what it is without.

    Its settings are those of :class:`~avalanche_aim.rehearsal.method.Method`: a preset, the parts that replace the
    preset's, the memory, a seed.
    """

    _trainer: Any = None
    _engine: Any = None
    _label_column: str | None = None
    _task = 0
    _in_task = False
    _rows: Rows | None = None
    _remembered: Any = None

    def bind(self, trainer: Any, label_column: str | None = None) -> "AIMCallback":
        """Take part in a Trainer's next trainings. A Trainer does not tell its callbacks of itself, hence this call.

        :param label_column: the column of ``train_dataset`` over whose values the memory is balanced; by default
            "label", or "labels" where it holds one value a row, and without these rows are kept at random.
        :raises TypeError: if it is no Trainer, or the memory no :class:`~avalanche_aim.RehearsalMemory`.
        :raises ValueError: for a Trainer that cannot be served, or that has another AIMCallback.
        """
        check_trainer(trainer)
        if self.memory is not None and not isinstance(self.memory, RehearsalMemory):
            raise TypeError(f"memory: expected a RehearsalMemory, which chooses rows of each task, got "
                            f"{type(self.memory).__name__}; make it a subclass")  # fmt: skip
        callbacks = trainer.callback_handler.callbacks
        others = [callback for callback in callbacks if callback is not self]
        if any(isinstance(callback, AIMCallback) for callback in others):
            raise ValueError("expected one AIMCallback in a Trainer, got a second one; give one of them all settings")
        # First: what others save, measure and log at a step is what was merged.
        callbacks[:] = [self, *others]
        if self.merging.slow is not None:
            trainer.evaluation_loop = _SlowEvaluation(trainer.evaluation_loop, self.merging)
        self._trainer, self._label_column = trainer, label_column
        return self

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take θ_prev and start signals and intervals anew, or resume; refuse what would fail later."""
        self._check_bound(state)
        trainer, loader = self._trainer, kwargs["train_dataloader"]
        check_trainer(trainer)
        self._engine = TrainerEngine(trainer, loader.collate_fn)
        checkpoint = self._resume_memory() if state.global_step else None
        self._rows = self._checked_rows(loader.dataset)
        self.merging.start(self._engine, self._task)
        self._in_task = True
        if checkpoint is not None:
            with checkpoint.understood():
                resumed = checkpoint.state(self._engine.device)
                self.merging.load_state_dict(resumed["merging"])
                self._in_task = resumed["in task"]
            if not self._in_task and state.global_step < state.max_steps:
                raise ValueError(
                    f"AIMCallback: expected to resume a task of {state.global_step} steps, at whose end it was merged "
                    f"and remembered, got {state.max_steps} steps; keep its length, or train on as a further task"
                )

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take note of where the sum of losses is."""
        self._check_bound(state)
        self._engine.begin_step()

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take hold of the gradients."""
        self._engine.keep_gradients()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Monitor the historical loss, and merge when it is time; the task ends before its last step is saved."""
        with self._engine.kept_gradients():
            self.merging.after_iteration(self._engine)
            if state.global_step >= state.max_steps:
                self._end_task()

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End the task where training was stopped early, before the best weights are loaded."""
        if control.should_training_stop:
            self._end_task()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End the task, if it has not ended, and let go of its data."""
        self._end_task()
        self._engine = self._rows = None

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Join the newest numbers to the log of a training step."""
        if self._engine is not None and self._trainer.state is state and "loss" in (logs or ()):
            logs.update(self._engine.published)
            state.log_history[-1].update(self._engine.published)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save what later decisions depend on beside the Trainer's checkpoint."""
        if args.should_save:
            saved.save(self._trainer, self.merging.weights, self.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Return all that later decisions depend on, the rows of the memory included."""
        state = {"merging": self.merging.state_dict(), "task": self._task, "in task": self._in_task}
        if self.memory is not None:
            rows = [self.memory.buffer[number] for number in range(len(self.memory))]
            state["memory"] = {"state": self.memory.state_dict(), "rows": rows}
        return state

    def _resume_memory(self) -> Checkpoint:
        """Restore what is to be there when the task begins."""
        checkpoint = saved.load(self._trainer, self._engine.weights)
        with checkpoint.understood():
            state = checkpoint.state(self._engine.device)
            self._task = state["task"]
            if self.memory is not None:
                self.memory.load_state_dict(state["memory"]["state"], [], Rows(state["memory"]["rows"]))
        return checkpoint

    def _check_bound(self, state: Any) -> None:
        if self._trainer is None or self._trainer.state is not state:
            got = "none" if self._trainer is None else "another one since"
            raise ValueError(f"AIMCallback: expected to be bound to the Trainer that trains, got {got}; call "
                             "aim.bind(trainer) right before trainer.train()")  # fmt: skip

    def _checked_rows(self, dataset: Any) -> Rows | None:
        """Refuse rows that could not be kept, saved or collated, before anything is trained."""
        memory, trainer = self.memory, self._trainer
        if memory is None or not (memory.size or memory.per_label):
            return None
        check_numbered(dataset)
        targets = label_numbers(trainer.train_dataset, self._label_column)
        if targets is not None and len(targets) != len(dataset):
            if self._label_column is not None:
                raise ValueError(
                    f"label_column: expected a data loader of the {len(targets)} rows of train_dataset, got one of "
                    f"{len(dataset)}; leave label_column out to keep rows at random"
                )
            targets = None
        with RandomStream(0).on(self._engine.device):
            firsts = accumulate(map(len, memory.selected[:-1]), initial=0)
            past = [memory.buffer[first] for first in firsts if first < len(memory)]
            for rows in filter(None, ([dataset[0]], past)):
                if trainer.args.save_strategy != "no":
                    saved.check_rows(rows)
                self._engine.collated(rows)
        return Rows(dataset, targets)

    def _end_task(self) -> None:
        if not self._in_task:
            return
        with self._engine.at_peak():
            self.merging.end(self._engine)
        if self._rows is not None and self.memory is not None:
            if self._remembered is self._trainer.train_dataset:
                self.recorder.warn_once("a task is trained on again; its rows are in the memory already, and not added "
                                        "again", "again")  # fmt: skip
            else:
                self.memory.remember(self._trainer, self._rows)
            self._remembered = self._trainer.train_dataset
        self._task += 1
        self._in_task = False


class _SlowEvaluation:
    """A Trainer's evaluation loop, with the slow weights in the model; no event comes before an evaluation."""

    def __init__(self, loop: Callable[..., Any], merging: IterativeMerging) -> None:
        self.loop: Callable[..., Any] = loop.loop if isinstance(loop, _SlowEvaluation) else loop
        self.merging = merging

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.merging.evaluate_slow(True)
        try:
            return self.loop(*args, **kwargs)
        finally:
            self.merging.evaluate_slow(False)
