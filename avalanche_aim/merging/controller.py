"""The merge controller: signals in, merge decisions out.

It joins the two signals, a schedule and a weighting. It holds no weights and runs no model, so a recorded run can
be replayed through it.
"""

from dataclasses import dataclass
from typing import Any

from .monitoring import Monitoring
from .schedule import Schedule
from .signals import ForgettingSignal, LearningSignal
from .state import check_state
from .weights import Weighting


@dataclass(frozen=True)
class Merge:
    """What was decided for one merge.

    ``interval`` is the planned interval that ends and ``elapsed`` the iterations that really passed;
    ``learning_signal`` is Λ_b; ``upward`` and ``downward`` count the pairs of the window, this merge included;
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


class MergeController:
    """Decides when to merge, with which weights, and how long to fine-tune on the memory.

    Per experience: :meth:`start`; then after each iteration :meth:`watch`, :meth:`observe` if it said so and
    :meth:`pass_by` otherwise, and :meth:`merge` whenever one of these returned a reason.

    :param schedule: when to merge.
    :param weights: with which weights.
    :param learning: the learning signal.
    :param forgetting: the forgetting signal.
    :param monitoring: which iterations are monitored; all by default.
    :raises ValueError: if the learning signal's window is too short for the schedule ever to adapt.
    """

    def __init__(
        self,
        schedule: Schedule,
        weights: Weighting,
        learning: LearningSignal,
        forgetting: ForgettingSignal,
        monitoring: Monitoring | None = None,
    ) -> None:
        if learning.window is not None and learning.window < schedule.signals_needed:
            raise ValueError(
                f"window: expected at least {schedule.signals_needed} signals, after which the schedule adapts "
                f"(its cold start), got {learning.window}; lengthen the window or shorten cold_start"
            )
        self.schedule = schedule
        self.weights = weights
        self.learning = learning
        self.forgetting = forgetting
        self.monitoring = monitoring or Monitoring()
        self.elapsed = 0

    def start(self) -> None:
        """A new experience begins: intervals and signals start anew."""
        self.schedule.start()
        self.learning.start()
        self.start_interval()

    def watch(self) -> bool:
        """Whether the historical loss of the iteration that has just passed is to be taken."""
        return self.monitoring.next()

    def observe(self, historical_loss: float) -> str | None:
        """Take one iteration's historical loss.

        :param historical_loss: the loss on a batch of the memory; finite.
        :return: the reason to merge now, or None.
        """
        self.elapsed += 1
        self.forgetting.update(historical_loss)
        self.monitoring.update(historical_loss, self.forgetting)
        return self.schedule.due(self.elapsed, self.forgetting)

    def pass_by(self) -> str | None:
        """Let an iteration pass that is not monitored.

        :return: the reason to merge now, or None.
        """
        self.elapsed += 1
        return self.schedule.due(self.elapsed, self.forgetting)

    def skip(self) -> None:
        """Let an iteration pass whose historical loss is of no use."""
        self.elapsed += 1

    def merge(self, movement: float, reason: str) -> Merge:
        """Decide everything about the merge that is due, and begin the next interval.

        :param movement: Σ_i |τ_new,i| since the previous merge.
        :param reason: why the merge is due.
        :return: the decision.
        """
        ended, threshold, activations = self.schedule.interval, self.forgetting.threshold, self.forgetting.activations
        memory_iterations = self.schedule.memory_iterations(self.elapsed)
        signal = self.learning.update(movement, self.schedule.learning_iterations(self.elapsed))
        alpha_new, alpha_past = self.weights(self.learning, self.forgetting, ended)
        self.schedule.adapt(self.learning)
        decision = Merge(
            reason=reason,
            interval=ended,
            elapsed=self.elapsed,
            learning_signal=signal,
            upward=self.learning.upward,
            downward=self.learning.downward,
            threshold=threshold,
            activations=activations,
            alpha_new=alpha_new,
            alpha_past=alpha_past,
            memory_iterations=memory_iterations,
            next_interval=self.schedule.interval,
            at_minimum=self.schedule.at_minimum(self.learning),
        )
        self.start_interval()
        return decision

    def start_interval(self) -> None:
        """Begin the interval anew: after a merge, or where the weights went back to those of the last one."""
        self.elapsed = 0
        self.monitoring.start(self.schedule.interval)
        self.forgetting.start(self.monitoring.losses_in(self.schedule.interval))

    def state_dict(self) -> dict[str, Any]:
        """Return the state of all parts as plain data."""
        return {
            "elapsed": self.elapsed,
            "schedule": self.schedule.state_dict(),
            "learning": self.learning.state_dict(),
            "forgetting": self.forgetting.state_dict(),
            "monitoring": self.monitoring.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        :param state: the state.
        :raises ValueError: if parts or names are missing or unknown.
        """
        check_state(self, state, ("elapsed", "schedule", "learning", "forgetting", "monitoring"))
        self.elapsed = state["elapsed"]
        self.schedule.load_state_dict(state["schedule"])
        self.learning.load_state_dict(state["learning"])
        self.forgetting.load_state_dict(state["forgetting"])
        self.monitoring.load_state_dict(state["monitoring"])
