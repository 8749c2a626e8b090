"""Forgetting, as the angle between what the task asks for and what the memory asks for."""

from ..observation import Observation
from .forgetting import Activations


class GradientAngle(Activations):
    """Merges at which the task's gradient pointed against the memory's: cos(g_task, g_memory) below a bound.

    The cosine is that of the last training batch and the first memory batch of a merge, whose gradients are made
    anyway: it costs no pass. P_past is the share of the last merges at which it was below the bound, so that α₂ grows
    with conflict; no merge comes early.

    :param bound: of the cosine; gradients that are at right angles do each other no harm.
    :param window: how many merges count.
    :raises ValueError: for a bound outside [-1, 1] or a window below 1.
    """

    STATE = ("cosines", *Activations.STATE)
    monitors = False
    needs = ("rehearsed_cosine",)

    def __init__(self, bound: float = 0.0, window: int = 5) -> None:
        if not -1 <= bound <= 1:
            raise ValueError(f"bound: expected a cosine in [-1, 1], got {bound}")
        if isinstance(window, bool) or not isinstance(window, int) or window < 1:
            raise ValueError(f"window: expected 1 merge or more, got {window!r}")
        self.bound, self.window = bound, window
        self.cosines: list[float] = []
        super().__init__()

    def update(self, observation: Observation) -> str:
        if observation.iteration == 1:
            self.cosines = []
        elif observation.elapsed == 1:  # the first iteration after a merge
            self.cosines = [*self.cosines, observation.rehearsed_cosine][-self.window :]
        self.status = "active" if self.cosines and self.cosines[-1] < self.bound else "quiet"
        return self.status

    @property
    def share_active(self) -> float:
        """P_past: merges in the window whose gradients were in conflict; 0 before any."""
        return sum(cosine < self.bound for cosine in self.cosines) / len(self.cosines) if self.cosines else 0.0
