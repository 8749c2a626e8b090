"""The two ways in which merging fails, recognised while training goes on: oscillation and stagnation.

Numbers in, findings out; no decision of the method depends on them.
"""

import math
from dataclasses import dataclass
from statistics import fmean, median

from .controller import Merge
from .state import Stateful


@dataclass(frozen=True)
class Finding:
    """A failure that was recognised: its name, what was seen, and what may help."""

    name: str
    seen: str
    remedy: str


class Diagnosis(Stateful):
    """Recognises oscillation and stagnation, from the decisions at the merges and the training losses between them.

    *Oscillation*: the schedule chose its minimum interval at several merges in a row, with weights that move. An
    interval that only began at the minimum, or that cannot change, is none.

    *Stagnation*: at several merges in a row τ_new was held back (α₂ > α₁, that is α₂ > ½, or too little of it was
    kept), and the training loss has stopped falling before the experience was learned.

    Whether the loss still falls is judged over intervals. Each counts as the mean of its losses, and the median of the
    last ``merges`` of them is compared with that of as many before. A single interval against the one before would
    show little but noise: on a level, noisy loss four such comparisons in a row come out "not fallen" once in 120
    times. Medians, so that one spike neither makes nor hides a finding. And a loss that has fallen far may stop,
    although α₂ dominates then as well: convergence, falling learning signals, raises it in the paper's preset.

    :param merges: how many merges in a row show a failure.
    :param least_kept: the share of τ_new that a merge must keep not to hold it back.
    :param least_fall: the share of the loss by which it must fall to be called falling.
    :param learned: an experience is learned when its loss is at most this share of its first interval's.
    :raises ValueError: for fewer than one merge.
    """

    STATE = ("losses", "means", "at_minimum", "held_back")

    def __init__(
        self, merges: int = 4, least_kept: float = 0.3, least_fall: float = 0.01, learned: float = 0.5
    ) -> None:
        if merges < 1:
            raise ValueError(f"merges: expected at least 1 merge in a row, got {merges}")
        self.merges = merges
        self.least_kept = least_kept
        self.least_fall = least_fall
        self.learned = learned
        self.start()

    def start(self) -> None:
        """A new experience begins: nothing was seen yet."""
        self.losses: list[float] = []
        self.means: list[float] = []
        self.at_minimum = 0
        self.held_back = 0

    def observe(self, training_loss: float) -> None:
        """Take one iteration's training loss; one that is not finite says nothing and is left out."""
        if math.isfinite(training_loss):
            self.losses.append(training_loss)

    def update(self, decision: Merge, kept: float | None) -> list[Finding]:
        """Take a merge, which ends an interval, and return what is recognised at it.

        :param kept: the share of τ_new that the merge kept, or None where nothing had moved.
        :return: no, one or two findings; they are returned again at each merge that shows them.
        """
        if self.losses:
            self.means.append(fmean(self.losses))
            self.losses = []
        moving = decision.learning_signal > 0
        self.at_minimum = self.at_minimum + 1 if decision.at_minimum and moving else 0
        undone = kept is not None and kept < self.least_kept
        self.held_back = self.held_back + 1 if undone or decision.alpha_past > decision.alpha_new else 0
        findings = [self._oscillation(decision), self._stagnation(decision, kept)]
        return [finding for finding in findings if finding is not None]

    def _oscillation(self, decision: Merge) -> Finding | None:
        if self.at_minimum < self.merges:
            return None
        return Finding(
            "oscillation",
            f"the interval was kept at its minimum of {decision.next_interval} at {self.at_minimum} merges in a row, "
            f"the learning signal is {decision.learning_signal:.3g}",
            "raise the schedule's minimum, lower the learning rate, or rehearse more examples (memory=)",
        )

    def _stagnation(self, decision: Merge, kept: float | None) -> Finding | None:
        if self.held_back < self.merges or len(self.means) < 2 * self.merges:
            return None
        earlier = median(self.means[-2 * self.merges : -self.merges])
        recent = median(self.means[-self.merges :])
        falling = earlier - recent >= self.least_fall * abs(earlier)
        if falling or recent <= self.learned * self.means[0]:
            return None
        share = "τ_new was zero" if kept is None else f"{kept:.0%} of τ_new was kept"
        return Finding(
            "stagnation",
            f"the training loss was {earlier:.3g} and is {recent:.3g} (each over {self.merges} intervals), while "
            f"{self.held_back} merges in a row held the new task back (at this one α₂ = {decision.alpha_past:.2g}, "
            f"{share})",
            "give τ_new more weight (weights=FixedWeights(0.6, 0.4)), raise the threshold for fewer activations "
            "(forgetting={'factor': 3.0}), rehearse more examples (memory=) or raise the learning rate, unless the "
            "task is learned already",
        )
