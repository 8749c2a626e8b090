"""The method at work on a model in training: observe, decide, fine-tune on the memory, merge."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .controller import MergeController
from .engine import Engine
from .fusion import fuse
from .recording import Recorder
from .rollback import DivergenceWatch, Rollback, check_finite
from .rules import Rule
from .slow_weights import SlowWeights
from .task_vectors import all_finite, length, movement, restore_, snapshot, straightness, whole


class IterativeMerging:
    """Drives the parts of the method, for any :class:`~avalanche_aim.merging.Engine`.

    Per experience: :meth:`start`, :meth:`after_iteration` after each optimizer step, :meth:`end`.

    :param rehearsal: the passes over the memory, a :class:`~avalanche_aim.rehearsal.Rehearsal`; None for none, and
        then merging begins with the second experience.
    """

    def __init__(
        self, controller: MergeController, rule: Rule, rehearsal: Any, slow: SlowWeights | None, recorder: Recorder
    ) -> None:
        self.controller = controller
        self.rule = rule
        self.rehearsal = rehearsal
        self.slow = slow
        self.recorder = recorder
        self.named: dict[str, Tensor] = {}
        """The trainable weights by name, known once training has begun."""
        self._rollback = Rollback()
        self._watch = DivergenceWatch()
        self._step_start: list[Tensor] = []
        self._half: list[Tensor] = []
        """The weights half-way through an interval, where a part reads how straight it was; empty before."""
        self._experiences = self._experience = self._iteration = 0
        needs = controller.needs | set(getattr(rule, "needs", ())) | set(getattr(rehearsal, "needs", ()))
        self._measures_steps = "step_length" in needs
        self._measures_straightness = "straightness" in needs
        if rehearsal is not None:
            rehearsal.measures_cosine = "rehearsed_cosine" in needs

    @property
    def weights(self) -> list[Tensor]:
        """The trainable weights."""
        return list(self.named.values())

    @property
    def active(self) -> bool:
        """Whether this experience is observed and merged."""
        return bool(self._rollback.previous)

    def start(self, engine: Engine, experience: int) -> None:
        """Take θ_prev and start signals and intervals anew, where there is something to rehearse.

        :raises ValueError: if nothing can be trained.
        :raises FloatingPointError: if weights are not finite already.
        """
        self.named = _trainable(engine)
        self._rollback.stop()
        self._experience, self._iteration = experience, 0
        self._experiences += 1
        if self.slow is not None:
            self.slow.start(self.named)
        if self._can_merge():
            self._begin(engine)
        self._keep_step_start()

    def continue_task(self, engine: Engine) -> None:
        """Another part of the same task begins, of an online stream: all counts on."""
        before, self.named = self.named, _trainable(engine)
        grown = {name: w.shape for name, w in before.items()} != {name: w.shape for name, w in self.named.items()}
        if grown and self.slow is not None:
            self.slow.start(self.named)
        if self.active and grown:  # a new head: the way to it cannot be interpolated
            self._rollback.start(self.weights, engine.model)
            self._step_start = []
            self._half = []
            self.controller.start_interval()
        elif not self.active and self._can_merge():
            self._begin(engine)
        self._keep_step_start()

    def _begin(self, engine: Engine) -> None:
        check_finite(self.weights, self._experience)
        self._half = []
        self._rollback.start(self.weights, engine.model)
        self.controller.start(self._experience)
        self.controller.iteration = self._iteration
        self.recorder.diagnosis.start()
        if self.rehearsal is not None:
            self.rehearsal.start(self.weights)

    def after_iteration(self, engine: Engine) -> None:
        """Observe an iteration, and merge when it is time."""
        self._iteration += 1
        if self.active:
            reason = self._observe(engine)
            if reason is not None:
                self._merge(engine, reason)
            if self._measures_straightness and not self._half and self.controller.is_half(self._progress(engine)):
                self._half = snapshot(self.weights)
            self._keep_step_start()
        else:
            self._watch.after_iteration(engine.training_loss, self.weights, self._experience)
        self._slow_down(engine)

    def end(self, engine: Engine) -> None:
        """Merge once more where the schedule says so."""
        if not self.active:
            check_finite(self.weights, self._experience)
            return
        if not all_finite(self.weights):
            self._roll_back(engine)
        if self.controller.schedule.merges_at_end and self.controller.elapsed:
            self._merge(engine, "end")
            self._slow_down(engine)
        if not self.controller.merges:
            self._say_that_nothing_merged()
        self._rollback.stop()
        self._step_start = []
        self._half = []

    def evaluate_slow(self, evaluated: bool) -> None:
        """Put the slow weights into the model when an evaluation begins, and the training's back after it."""
        if self.slow is not None:
            self.slow.swap(self.named, evaluated)

    def state_dict(self) -> dict[str, Any]:
        """Return all that later decisions depend on but the memory, which has its own state and may be shared."""
        state = {
            "controller": self.controller.state_dict(),
            "recorder": self.recorder.state_dict(),
            "rollback": self._rollback.state_dict(),
            "watch": self._watch.state_dict(),
            "counts": [self._experiences, self._experience, self._iteration],
            "half": self._half,
            "rehearsal": None if self.rehearsal is None else self.rehearsal.state_dict(self.weights),
        }
        return state | {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.controller.load_state_dict(state["controller"])
        self.recorder.load_state_dict(state["recorder"])
        self._rollback.load_state_dict(state["rollback"])
        self._watch.load_state_dict(state["watch"])
        self._experiences, self._experience, self._iteration = state["counts"]
        self._half = state["half"]
        if self.rehearsal is not None:
            self.rehearsal.load_state_dict(state["rehearsal"], self.weights)
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self._keep_step_start()

    def _parts(self) -> dict[str, Any]:
        parts: dict[str, Any] = {"rule": self.rule, "slow": self.slow}
        return {name: part for name, part in parts.items() if hasattr(part, "state_dict")}

    def _can_merge(self) -> bool:
        """Whether there is something to rehearse, or, without a rehearsal, an experience before this one."""
        if self.rehearsal is None:
            return self._experiences > 1
        if len(self.rehearsal.memory) > 0:
            return True
        later = self._experiences > 1 and self._experience > 0  # a resumed run begins its first experience twice
        if later or getattr(self.rehearsal.memory, "size", None) == 0:
            said = (
                "the memory is empty: nothing is rehearsed, and nothing will merge; give it more examples (memory=), "
                "or rehearsal=None to merge without a memory"
            )
            self.recorder.warn_once(getattr(self.rehearsal.memory, "empty_because", said), "empty memory")
        return False

    def _say_that_nothing_merged(self) -> None:
        interval = self.controller.schedule.initial
        short = f", fewer than the first interval of {interval}" if interval and self._iteration < interval else ""
        self.recorder.warn_once(
            f"nothing was merged in experience {self._experience}: it had {self._iteration} iterations{short}; shorten "
            "the interval (schedule={'initial': 2}), or merge what is left at the end "
            "(schedule={'merges_at_end': True})",
            "no merge",
        )

    def _observe(self, engine: Engine) -> str | None:
        """Let the controller see an iteration; returns the reason to merge now, or None."""
        measures = self._measures(engine)
        if not self.controller.watch() or self.rehearsal is None:
            return self.controller.observe(**measures)
        loss = engine.mean(self.rehearsal.historical_loss(engine))
        reason = None
        if math.isfinite(loss):
            reason = self.controller.observe(loss, **measures)
            status = self.controller.forgetting.status
        else:
            self.controller.skip()
            status = "skipped"
            if self._rollback.is_finite(self.weights, engine.model):
                said = f"the historical loss is {loss}; such iterations are ignored, and no merge is made at them"
                self.recorder.warn_once(said)
            else:
                self._roll_back(engine)
                status = "rolled back"
        self.recorder.iteration(engine, self.controller, loss, status)
        return reason

    def _measures(self, engine: Engine) -> dict[str, Any]:
        """What an observation can be asked for; each is agreed on by all processes."""
        weights = self.weights
        measures: dict[str, Callable[[], float]] = {
            "training_loss": lambda: float(engine.training_loss.detach()),
            "movement": lambda: movement(weights, self._rollback.previous),
            "gradient_norm": lambda: float(
                whole(torch.nn.utils.get_total_norm([w.grad for w in weights if w.grad is not None]))
            ),
        }
        if (progress := self._progress(engine)) is not None:
            measures["progress"] = lambda: progress
        if self._measures_steps:
            measures["step_length"] = lambda: length(weights, self._step_start)
        if self.rehearsal is not None:
            measures["held_out_loss"] = lambda: self.rehearsal.held_out_loss(engine)
            if self.rehearsal.measures_cosine:
                measures["rehearsed_cosine"] = lambda: self.rehearsal.rehearsed_cosine
            measures["gradient_cosine"] = lambda: self.rehearsal.gradient_cosine(engine, weights)

        def agreed(measure: Callable[[], float]) -> float:
            return engine.mean(measure())

        return {name: partial(agreed, measure) for name, measure in measures.items()}

    def _progress(self, engine: Engine) -> float | None:
        iterations = engine.iterations
        if not iterations or self._iteration > iterations:  # nobody knows, or it is a part of a task
            return None
        return self._iteration / iterations

    def _merge(self, engine: Engine, reason: str) -> None:
        weights = self.weights
        moved = engine.mean(movement(weights, self._rollback.previous))
        if not math.isfinite(moved):
            self._roll_back(engine)
            return
        straight = 0.0
        if self._measures_straightness:
            straight = engine.mean(straightness(self._rollback.previous, self._half, weights))
        decision = self.controller.merge(moved, reason, list(self.named), self._progress(engine), straight)
        fused = fuse(engine, weights, self._rollback.previous, decision, self.rule, self.rehearsal)
        if fused.culprit is not None:
            self.recorder.warn_once(
                f"{fused.culprit} was not finite; that merge was given up, the trained weights kept"
            )
        self._rollback.take(weights, engine.model)
        self._half = []
        self.recorder.merge(engine, self.controller, decision, fused)

    def _roll_back(self, engine: Engine) -> None:
        self._half = []
        if self.rehearsal is not None:
            self.rehearsal.drop_non_finite()
        self.controller.start_interval()
        where = f"iteration {self._iteration} of experience {self._experience}"
        self._rollback.go_back(self.weights, engine.model, engine.optimizer, where)

    def _keep_step_start(self) -> None:
        if not self._measures_steps or not self.active:
            self._step_start = []
        elif self._step_start:
            restore_(self._step_start, self.weights)
        else:
            self._step_start = snapshot(self.weights)

    def _slow_down(self, engine: Engine) -> None:
        if self.slow is not None:
            self.slow.update(self.named, self._iteration, engine.iterations)


def _trainable(engine: Engine) -> dict[str, Tensor]:
    named: dict[str, Tensor] = {name: p for name, p in engine.model.named_parameters() if p.requires_grad}
    if not named:
        raise ValueError(
            f"{type(engine.model).__name__} has no trainable parameter (requires_grad=True): there is nothing "
            "to merge; unfreeze some weights or add LoRA"
        )
    return named
