"""The merge controller: observations in, merge decisions out.

It joins the two signals, a schedule and a weighting. It holds no weights and runs no model, so a recorded run can
be replayed through it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from .observation import DueMerge, Observation
from .rehearsal_plan import RehearsalPlan
from .schedules import Schedule
from .signals import Activations, LearningSignal
from .state import check_state
from .weights import Pair, Weighting, per_weight

COUNTS = ("experience", "iteration", "elapsed", "merges")


@dataclass(frozen=True)
class Merge:
    """What was decided for one merge.

    ``interval`` is the planned interval that ends and ``elapsed`` the iterations that really passed;
    ``learning_signal`` is Λ_b; ``upward`` and ``downward`` count the pairs of the window, this merge included;
    ``alpha_new`` and ``alpha_past`` are the means over weights where those have coefficients of their own;
    ``at_minimum`` says whether the schedule, having adapted, chose S_min for ``next_interval``.
    """

    reason: str
    interval: int | None
    elapsed: int
    learning_signal: float
    upward: int
    downward: int
    threshold: float | None
    activations: int
    alpha_new: float
    alpha_past: float
    memory_iterations: int
    next_interval: int | None
    at_minimum: bool


@dataclass(frozen=True)
class Decision(Merge):
    """A merge with (α₁, α₂) for each trainable weight."""

    coefficients: Sequence[Pair] = ()


class MergeController:
    """Decides when to merge, with which coefficients, and how long to fine-tune on the memory.

    Per experience: :meth:`start`; then after each iteration :meth:`watch`, :meth:`observe`, with the historical loss if
    it said so, and :meth:`merge` whenever that returned a reason.

    :param plan: how much is rehearsed and monitored: as much as in the paper by default; a ratio of 0 for nothing.
    :raises ValueError: if the learning signal's window is too short for the schedule ever to adapt.
    """

    def __init__(
        self,
        schedule: Schedule,
        weights: Weighting,
        learning: LearningSignal,
        forgetting: Activations,
        plan: RehearsalPlan | None = None,
    ) -> None:
        window = getattr(learning, "window", None)
        if window is not None and window < schedule.signals_needed:
            raise ValueError(
                f"window: expected at least {schedule.signals_needed} signals, after which the schedule adapts "
                f"(its cold start), got {window}; lengthen the window or shorten cold_start"
            )
        self.schedule = schedule
        self.weights = weights
        self.learning = learning
        self.forgetting = forgetting
        self.plan = plan or RehearsalPlan()
        self.experience = self.iteration = self.elapsed = self.merges = 0
        if "straightness" in self.needs and not schedule.knows_half:
            raise ValueError(
                f"straightness: expected a schedule that knows its interval beforehand, such as 'shares', got "
                f"{type(schedule).__name__}; set other weights= and rehearsal={{'per': …}}, or another schedule="
            )

    @property
    def needs(self) -> frozenset[str]:
        """What its parts ask to be kept for their observations."""
        parts = (self.schedule, self.weights, self.learning, self.forgetting, self.plan)
        return frozenset(need for part in parts for need in getattr(part, "needs", ()))

    def start(self, experience: int = 0) -> None:
        """A new experience begins: intervals and signals start anew."""
        self.experience = experience
        self.iteration = self.merges = 0
        self.schedule.start()
        self.learning.start()
        self.start_interval()

    def watch(self) -> bool:
        """Whether the historical loss of the iteration that has just passed is to be taken."""
        return self.forgetting.monitors and self.plan.next()

    def observe(self, historical_loss: float | None = None, **measures: float | Callable[[], float]) -> str | None:
        """Let one iteration pass.

        :param historical_loss: the loss on a batch of the memory, finite; None if the iteration is not monitored.
        :param measures: what parts may ask of an :class:`~avalanche_aim.merging.Observation`.
        :return: the reason to merge now, or None.
        """
        self.skip()
        observation = Observation(
            self.experience, self.iteration, self.elapsed, self.learning, self.forgetting, historical_loss, **measures
        )
        if historical_loss is not None or not self.forgetting.monitors:
            self.forgetting.update(observation)
        if historical_loss is not None:
            self.plan.update(historical_loss, self.forgetting)
        return self.schedule.due(observation)

    def is_half(self, progress: float | None) -> bool:
        """Whether half of the interval has passed; ``progress`` is the experience's, or None where it is not known."""
        return self.elapsed > 0 and self.schedule.is_half(self.elapsed, progress)

    def skip(self) -> None:
        """Let an iteration pass whose historical loss is of no use."""
        self.iteration += 1
        self.elapsed += 1

    def merge(
        self,
        movement: float,
        reason: str,
        names: Sequence[str] = ("",),
        progress: float | None = None,
        straightness: float = 0.0,
    ) -> Decision:
        """Decide everything about the merge that is due, and begin the next interval.

        :param movement: Σ_i |τ_new,i| since the previous merge.
        :param progress: the share of the experience's iterations that have passed, or None where it is not known.
        :param straightness: of the path since the previous merge, in [0, 1].
        """
        due = DueMerge(
            experience=self.experience,
            reason=reason,
            interval=self.schedule.interval,
            elapsed=self.elapsed,
            adapted=self.schedule.adapted,
            movement=movement,
            learning=self.learning,
            forgetting=self.forgetting,
            names=names,
            progress=progress,
            straightness=straightness,
        )
        signal = self.learning.update(due)
        coefficients = per_weight(self.weights(due), len(names))
        self.schedule.adapt(due)
        decision = Decision(
            reason=reason,
            interval=due.interval,
            elapsed=self.elapsed,
            learning_signal=signal,
            upward=self.learning.upward,
            downward=self.learning.downward,
            threshold=self.forgetting.threshold,
            activations=self.forgetting.activations,
            alpha_new=_mean([new for new, _ in coefficients]),
            alpha_past=_mean([past for _, past in coefficients]),
            memory_iterations=self.plan.memory_iterations(self.elapsed, due.interval, due.adapted, straightness),
            next_interval=self.schedule.interval,
            at_minimum=self.schedule.at_minimum,
            coefficients=coefficients,
        )
        self.merges += 1
        self.start_interval()
        return decision

    def start_interval(self) -> None:
        """Begin the interval anew: after a merge, or where the weights went back to those of the last one."""
        self.elapsed = 0
        self.plan.start(self.schedule.interval)
        self.forgetting.start(self.plan.losses_in(self.schedule.interval))

    def state_dict(self) -> dict[str, Any]:
        """Return the state of all parts as plain data."""
        counts = {name: getattr(self, name) for name in COUNTS}
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        return {"kinds": self._kinds(), **counts, **parts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned; a ValueError if it is not the state of such parts."""
        parts = self._parts()
        check_state(self, state, ("kinds", *COUNTS, *parts))
        if state["kinds"] != (own := self._kinds()):
            raise ValueError(f"expected the state of {own}, got that of {state['kinds']!r:.200}; give the same parts")
        for name in COUNTS:
            setattr(self, name, state[name])
        for name, part in parts.items():
            part.load_state_dict(state[name])

    def _kinds(self) -> list[str]:
        return [type(part).__name__ for part in self._parts().values()]

    def _parts(self) -> dict[str, Any]:
        """The parts that have a state; a weighting has one only if it is of the user's own making."""
        names = ("schedule", "learning", "forgetting", "weights", "plan")
        return {name: part for name in names if hasattr(part := getattr(self, name), "state_dict")}


def _mean(values: list[float]) -> float:
    """The mean, which of equal values is exactly their value."""
    return values[0] if min(values) == max(values) else fmean(values)
