"""How straight the way from θ_prev to θ_j was: a signal that sets coefficients and memory iterations by itself."""

from collections.abc import Sequence

from torch import Tensor

from .task_vectors import TaskVector, cosine, snapshot


class Path:
    """Keeps the weights half-way through an interval, θ_h.

    While the task is being learned, the second half of an interval leads on where the first led; once what is left is
    noise, it leads anywhere. So s = max(0, cos(θ_h − θ_prev, θ_j − θ_h)) says which part of the way was progress.

    :param kept: whether anything reads it: a copy of the weights, and one pass over them at each merge.
    """

    def __init__(self, kept: bool) -> None:
        self.kept = kept
        self.half: list[Tensor] = []
        """θ_h; empty in the first half of an interval."""

    def start(self) -> None:
        """An interval begins."""
        self.half = []

    def after_iteration(self, weights: Sequence[Tensor], is_half: bool) -> None:
        """Let an iteration pass.

        :param weights: the trainable weights.
        :param is_half: whether half of the interval has passed.
        """
        if self.kept and is_half and not self.half:
            self.half = snapshot(weights)

    def straightness(self, previous: Sequence[Tensor], weights: Sequence[Tensor]) -> float:
        """Return s, in [0, 1]; 0 where the interval ended in its first half.

        :param previous: θ_prev.
        :param weights: θ_j.
        """
        if not self.half:
            return 0.0
        return max(0.0, cosine(TaskVector(previous, self.half), TaskVector(self.half, weights)))
