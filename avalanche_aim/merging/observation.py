"""What one iteration, and one merge that is due, look like to signals, schedules and weightings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

REMEDIES = {
    "step_length": "a part with needs = ('step_length',)",
    "rehearsed_cosine": "a rehearsal, and a part with needs = ('rehearsed_cosine',)",
    "progress": "an experience whose number of iterations is known",
}


class Observation:
    """One iteration. What costs something is measured when it is asked for, and only once.

    ``historical_loss`` is None at an iteration that is not monitored. ``step_length`` needs a copy of the weights, and
    ``rehearsed_cosine`` is taken at merges, so both only if a part says so: ``needs = ("step_length",)`` in its class.

    :param iteration: in the experience, from 1.
    :param elapsed: iterations since the previous merge (or since the experience began), from 1.
    :param forgetting: the forgetting signal, this iteration included once it was monitored.
    :param measures: the other numbers by name, or functions that measure them.
    """

    def __init__(
        self,
        experience: int,
        iteration: int,
        elapsed: int,
        learning: Any,
        forgetting: Any,
        historical_loss: float | None = None,
        **measures: float | Callable[[], float],
    ) -> None:
        self.experience = experience
        self.iteration = iteration
        self.elapsed = elapsed
        self.learning = learning
        self.forgetting = forgetting
        self.historical_loss = historical_loss
        self._measures = measures

    @property
    def training_loss(self) -> float:
        """The loss of the training batch; reading it waits for the accelerator."""
        return self._measure("training_loss")

    @property
    def progress(self) -> float:
        """The share of the experience's iterations that have passed, in (0, 1]."""
        return self._measure("progress")

    @property
    def held_out_loss(self) -> float:
        """The loss of a batch of held-out memory rows: one pass without gradient."""
        return self._measure("held_out_loss")

    @property
    def movement(self) -> float:
        """Σ|θ − θ_prev|, since the previous merge."""
        return self._measure("movement")

    @property
    def step_length(self) -> float:
        """‖θ_t − θ_{t−1}‖₂, from the end of the previous iteration, its merge included."""
        return self._measure("step_length")

    @property
    def gradient_norm(self) -> float:
        """‖g‖₂ of the training batch's gradient."""
        return self._measure("gradient_norm")

    @property
    def gradient_cosine(self) -> float:
        """cos(g_task, g_memory): one memory batch, forward and backward."""
        return self._measure("gradient_cosine")

    @property
    def rehearsed_cosine(self) -> float:
        """cos(g_task, g_memory) at the last merge, of its training batch and its first memory batch; no pass."""
        return self._measure("rehearsed_cosine")

    def _measure(self, name: str) -> float:
        if name not in self._measures:
            remedy = REMEDIES.get(name, "a training with a memory")
            raise ValueError(f"an observation was asked for its {name}, which is not measured here: it takes {remedy}")
        value = self._measures[name]
        if callable(value):
            value = self._measures[name] = value()
        return value


@dataclass(frozen=True)
class DueMerge:
    """A merge that is due.

    :param interval: the planned length S of the interval that ends, or None where none was planned.
    :param elapsed: the iterations that really passed.
    :param adapted: whether the schedule has adapted S to the signals in this experience.
    :param movement: Σ|τ_new|, summed over the trainable weights.
    :param learning: the learning signal; weightings and schedules see it with this merge included.
    :param forgetting: the forgetting signal of the interval that ends.
    :param progress: the share of the experience's iterations that have passed; None where nobody knows how many it has.
    :param straightness: of the way from θ_prev to θ_j, in [0, 1] (``task_vectors.straightness``); 0
        unless a part says ``needs = ("straightness",)`` in its class.
    """

    experience: int
    reason: str
    interval: int | None
    elapsed: int
    adapted: bool
    movement: float
    learning: Any
    forgetting: Any
    names: Sequence[str] = ()
    progress: float | None = None
    straightness: float = 0.0
