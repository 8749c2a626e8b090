"""AIMMerging as an Avalanche plugin: the hooks, and nothing else."""

import math
import warnings
from typing import Any

from avalanche.evaluation.metric_results import MetricValue
from avalanche.training.plugins import SupervisedPlugin
from torch import Tensor

from .distributed import DataParallel, broadcast
from .merging import (
    Diagnosis,
    Finding,
    ForgettingSignal,
    History,
    LearningSignal,
    MemoryFineTuning,
    MemoryOptimizer,
    Merge,
    MergeController,
    MergeRecord,
    Monitoring,
    MonitorRecord,
    Schedule,
    Weighting,
    kept_share,
    merge_,
    movement,
    restore_,
    snapshot,
)
from .merging import preset as preset_named
from .rehearsal.memory import RehearsalMemory
from .rehearsal.passes import Rehearsal
from .training.divergence import REMEDY, DivergenceCheck, all_finite

MAX_ROLLBACKS = 3
"""How often an experience may go back to its last finite weights before its training ends in an error."""


class AIMMergingPlugin(SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Continual learning by adaptive iterative model merging (AIMMerging, arXiv 2509.17348).

    While the model trains on a new experience, the plugin watches the learning signal and the loss on a small
    rehearsal memory, decides when to merge, and fuses what was just learned with what a short fine-tuning on the
    memory brings back. The first experience has no memory and trains undisturbed. It works with any SGD template
    of Avalanche, any model with trainable parameters, and beside other plugins; those that keep the weights after an
    experience (EWC, LwF) see the merged ones if they are listed after it::

        strategy = Naive(model=model, optimizer=optimizer, criterion=criterion, plugins=[AIMMergingPlugin()])

    ``history`` holds every merge and every monitored iteration; the signals, the interval, the weights and the
    merges are also published as Avalanche metric values under ``AIM/``. Oscillation and stagnation, the two ways in
    which the method fails, are named in a warning, once an experience. Where training makes weights non-finite, they
    go back to θ_prev, with a warning; the fourth time in an experience, or where there is no θ_prev, it ends with a
    ``FloatingPointError``.

    :param preset: "paper" (the paper's text, the default), "reference" (the published code's decisions) or
        "economical" (the paper's method with a fraction of its passes over the memory). It gives every setting below
        that is left at None; docs/method.md and docs/cost.md list them.
    :param schedule: when to merge, a :class:`~avalanche_aim.merging.Schedule`; how many memory iterations a merge has
        is part of it (``memory_ratio``).
    :param memory: what is rehearsed: a fraction of each experience (float in [0, 1]), a count of examples of each
        (int), or a :class:`~avalanche_aim.rehearsal.memory.RehearsalMemory`.
    :param weights: chooses (α₁, α₂), a :class:`~avalanche_aim.merging.Weighting`.
    :param window: learning signals that are kept (L_w).
    :param threshold_factor: of the mean historical loss, for the forgetting threshold.
    :param memory_optimizer: whose optimizer state fine-tunes on the memory: "shared", "fresh" or "own".
    :param memory_batch_size: examples of a memory batch: a count (int) or a share of the training batch (float in
        (0, 1]; as many by default).
    :param memory_lr_factor: the learning rates of memory iterations, as a multiple of the training's.
    :param max_grad_norm: the gradient norm at which memory iterations are clipped; infinity for none.
    :param monitor_mode: "eval" or "train", the model's mode for the historical loss.
    :param monitor_every: iterations from one historical loss to the next; every interval has one at least.
    :param monitor_batch_size: examples of its batch, likewise; those of a memory batch by default.
    :param relax_below: while the last historical loss was below this share of the threshold, the next one waits twice
        as long; 0 for never.
    :param diagnosis: recognises oscillation and stagnation; a :class:`~avalanche_aim.merging.Diagnosis` of other
        thresholds can be given. It never changes training.
    :param seed: of the memory's choice, its batches and the dropout in passes over it; the global random streams
        are never touched.
    :raises ValueError: for a setting out of range; the message says what was expected.
    """

    def __init__(
        self,
        preset: str = "paper",
        schedule: Schedule | None = None,
        memory: float | int | RehearsalMemory = 0.02,
        *,
        weights: Weighting | None = None,
        window: int | None = None,
        threshold_factor: float | None = None,
        memory_optimizer: MemoryOptimizer | None = None,
        memory_batch_size: int | float = 1.0,
        memory_lr_factor: float | None = None,
        max_grad_norm: float | None = None,
        monitor_mode: str | None = None,
        monitor_every: int | None = None,
        monitor_batch_size: int | float | None = None,
        relax_below: float | None = None,
        diagnosis: Diagnosis | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        chosen = preset_named(preset)
        if schedule is not None and not isinstance(schedule, Schedule):
            raise TypeError(f"schedule: expected a Schedule such as AdaptiveInterval(), got {schedule!r}")
        self.memory = memory if isinstance(memory, RehearsalMemory) else RehearsalMemory(memory, seed)
        factor = chosen.threshold_factor if threshold_factor is None else threshold_factor
        norm = chosen.max_grad_norm if max_grad_norm is None else max_grad_norm
        lr_factor = chosen.memory_lr_factor if memory_lr_factor is None else memory_lr_factor
        every = chosen.monitor_every if monitor_every is None else monitor_every
        relax = chosen.relax_below if relax_below is None else relax_below
        self.controller = MergeController(
            schedule or chosen.schedule(),
            weights or chosen.weights,
            LearningSignal(chosen.window if window is None else window),
            ForgettingSignal(factor, extra_losses=chosen.extra_losses),
            Monitoring(every, relax),
        )
        self.rehearsal = Rehearsal(
            self.memory,
            MemoryFineTuning(memory_optimizer or chosen.memory_optimizer, norm, lr_factor),
            memory_batch_size,
            monitor_mode or chosen.monitor_mode,
            seed,
            chosen.monitor_batch_size if monitor_batch_size is None else monitor_batch_size,
        )
        self.diagnosis = diagnosis or Diagnosis()
        self.history = History()
        self._weights: list[Tensor] = []
        self._previous: list[Tensor] = []
        self._previous_buffers: list[Tensor] = []
        self._iteration = 0
        self._rollbacks = 0
        self._divergence = DivergenceCheck()
        self._warned: set[tuple[str, int | None]] = set()

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Take θ_prev and start signals and intervals anew, where there is something to rehearse."""
        self._weights = [p for p in strategy.model.parameters() if p.requires_grad]
        if not self._weights:
            raise ValueError(
                f"{type(strategy.model).__name__} has no trainable parameter (requires_grad=True): there is nothing "
                "to merge; unfreeze some weights or add LoRA"
            )
        DataParallel.check(strategy)
        self._previous = []
        self._iteration = 0
        self._rollbacks = 0
        if len(self.memory) > 0:
            self._divergence.look(strategy)
            self._previous, self._previous_buffers = snapshot(self._weights), snapshot(_buffers(strategy))
            self.controller.start()
            self.diagnosis.start()

    def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Monitor the historical loss, and merge when it is time."""
        if not self._previous:
            self._divergence.after_training_iteration(strategy)
            return
        self._iteration += 1
        reason = self._monitor(strategy) if self.controller.watch() else self.controller.pass_by()
        if reason is not None:
            self._merge(strategy, reason)

    def state_dict(self) -> dict[str, Any]:
        """Return all that later decisions depend on but the memory, which has its own state and may be shared."""
        return {
            "controller": self.controller.state_dict(),
            "diagnosis": self.diagnosis.state_dict(),
            "rehearsal": self.rehearsal.state_dict(self._weights),
            "history": self.history.state_dict(),
            "previous": self._previous,
            "previous_buffers": self._previous_buffers,
            "iteration": self._iteration,
            "rollbacks": self._rollbacks,
            "divergence": self._divergence.state_dict(),
            "warned": sorted(self._warned, key=str),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        :param state: the state.
        """
        self.controller.load_state_dict(state["controller"])
        self.diagnosis.load_state_dict(state["diagnosis"])
        self.rehearsal.load_state_dict(state["rehearsal"], self._weights)
        self.history.load_state_dict(state["history"])
        self._previous = state["previous"]
        self._previous_buffers = state["previous_buffers"]
        self._iteration = state["iteration"]
        self._rollbacks = state["rollbacks"]
        self._divergence.load_state_dict(state["divergence"])
        self._warned = set(state["warned"])

    def _monitor(self, strategy: Any) -> str | None:
        """Take the historical loss; returns the reason to merge now, or None."""
        loss = broadcast(self.rehearsal.historical_loss(strategy))
        reason = None
        if math.isfinite(loss):
            reason = self.controller.observe(loss)
            status = self.controller.forgetting.status
        elif all_finite([*self._weights, *_buffers(strategy)]):
            self.controller.skip()
            status = "skipped"
            self._warn_once(f"the historical loss is {loss}; such iterations are ignored, and no merge is made at them")
        else:
            self._roll_back(strategy)
            status = "rolled back"
        self._record_iteration(strategy, loss, status)
        return reason

    def after_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Merge once more where the schedule says so, then remember a share of this experience."""
        if not self._previous:
            self._divergence.look(strategy)
        elif not all_finite(self._weights):
            self._roll_back(strategy)
        if self._previous and self.controller.schedule.merges_at_end and self.controller.elapsed:
            self._merge(strategy, "end")
        self._previous = []
        self.memory.post_adapt(strategy, strategy.experience)

    def _merge(self, strategy: Any, reason: str) -> None:
        moved = broadcast(movement(self._weights, self._previous))
        if not math.isfinite(moved):
            self._roll_back(strategy)
            return
        decision = self.controller.merge(moved, reason)
        trained = snapshot(self._weights)
        try:
            losses, merged = self._fuse(strategy, trained, decision)
        except BaseException:  # Ctrl-C as well: never weights that are half merged
            restore_(self._weights, trained)
            raise
        kept: float | None = None
        findings: list[Finding] = []
        if merged:
            kept = kept_share(self._weights, self._previous, trained)
            findings = self.diagnosis.update(decision, kept)
        restore_(self._previous, self._weights)
        restore_(self._previous_buffers, _buffers(strategy))
        record = MergeRecord.of(*self._where(strategy), decision, losses, merged, kept, findings)
        self._warn_of(findings, record)
        self.history.merges.append(record)
        self._publish(
            strategy,
            LearningSignal=record.learning_signal,
            AlphaNew=record.alpha_new,
            AlphaPast=record.alpha_past,
            Interval=record.next_interval,
            Merge=len(self.history.merges),
        )

    def _fuse(self, strategy: Any, trained: list[Tensor], decision: Merge) -> tuple[list[float], bool]:
        """Fine-tune on the memory and merge; returns the memory losses, and whether the weights were merged."""
        losses = self.rehearsal.fine_tune(strategy, self._weights, decision.memory_iterations)
        if not all(map(math.isfinite, losses)):  # such a step was not taken
            culprit = "the memory fine-tuning"
        elif not math.isfinite(movement(self._weights, trained)):
            culprit = "the memory fine-tuning"
            self.rehearsal.fine_tuning.drop_non_finite(strategy.optimizer)
        else:
            merge_(self._weights, self._previous, trained, decision.alpha_new, decision.alpha_past)
            if math.isfinite(movement(self._weights, self._previous)):
                return losses, True
            culprit = "the merge"
        restore_(self._weights, trained)
        self._warn_once(f"{culprit} was not finite; that merge was given up, the trained weights kept")
        return losses, False

    def _roll_back(self, strategy: Any) -> None:
        """Go back to θ_prev, the last finite weights; too often in an experience is an error."""
        restore_(self._weights, self._previous)
        restore_(_buffers(strategy), self._previous_buffers)
        self.rehearsal.fine_tuning.drop_non_finite(strategy.optimizer)
        self.controller.start_interval()
        self._rollbacks += 1
        experience, iteration = self._where(strategy)
        where = f"training had made the weights non-finite by iteration {iteration} of experience {experience}"
        if self._rollbacks > MAX_ROLLBACKS:
            raise FloatingPointError(f"{where}, for the {self._rollbacks}th time in this experience; {REMEDY}")
        warnings.warn(f"AIMMerging: {where}; they are those of the last merge again, and the optimizer's moments begin "
                      f"anew. If it comes back: {REMEDY}", stacklevel=3)  # fmt: skip

    def _record_iteration(self, strategy: Any, loss: float, status: str) -> None:
        forgetting = self.controller.forgetting
        experience, iteration = self._where(strategy)
        record = MonitorRecord(
            experience=experience,
            iteration=iteration,
            training_loss=float(strategy.loss.detach()),
            historical_loss=loss,
            threshold=forgetting.threshold,
            status=status,
            active=status in ("active", "forced"),
        )
        self.history.iterations.append(record)
        self.diagnosis.observe(record.training_loss)
        self._publish(strategy, HistoricalLoss=loss, Threshold=record.threshold)

    def _where(self, strategy: Any) -> tuple[int, int]:
        return strategy.experience.current_experience, self._iteration

    def _publish(self, strategy: Any, **values: float | None) -> None:
        for name, value in values.items():
            if value is not None:
                metric = MetricValue(self, f"AIM/{name}", value, strategy.clock.train_iterations)
                strategy.evaluator.publish_metric_value(metric)

    def _warn_of(self, findings: list[Finding], record: MergeRecord) -> None:
        where = f"in experience {record.experience}, iteration {record.iteration}"
        for found in findings:
            self._warn_once(f"{found.name} {where}: {found.seen}; {found.remedy}", found.name, record.experience)

    def _warn_once(self, message: str, topic: str = "not finite", experience: int | None = None) -> None:
        if (topic, experience) not in self._warned:
            warnings.warn(f"AIMMerging: {message} (said once)", stacklevel=3)
            self._warned.add((topic, experience))


def _buffers(strategy: Any) -> list[Tensor]:
    """The model's floating-point buffers (batch-norm statistics), which a broken batch spoils as it does weights."""
    return [buffer for buffer in strategy.model.buffers() if buffer.is_floating_point()]
