"""How much is rehearsed and monitored, in numbers: the part of a rehearsal that needs no model."""

from typing import Literal, get_args

from .signals import Activations
from .state import Stateful

Per = Literal["passed", "planned", "merge", "straight"]


class RehearsalPlan(Stateful):
    """Says how many memory iterations a merge has, and after each iteration whether the historical loss is taken.

    The paper takes it at every iteration, at almost half the cost of a training step each time. Taken every few
    iterations, two thirds of the interval's losses still set the threshold; there are fewer of them, and
    activations come later.

    :param ratio: memory iterations (1.0 in the paper) for each of what ``per`` names, rounded to whole ones and never
        none unless it is 0.
    :param per: "passed", iterations that really passed since the last merge; "planned", iterations of the interval in
        force, rounded down once it has adapted, which may leave none (the published code); "merge", merges;
        "straight", iterations that passed, with the straightness of the interval's path for a ratio where that is more.
    :param monitor_every: iterations from one historical loss to the next; every interval has one at least.
    :param relax_below: while the last loss was below this share of the threshold, twice as many; 0 for never.
    :raises ValueError: for less than one iteration, a negative ratio, another name, or a share outside [0, 1].
    """

    STATE = ("wait",)

    def __init__(
        self, ratio: float = 1.0, per: Per = "passed", monitor_every: int = 1, relax_below: float = 0.0
    ) -> None:
        if not isinstance(ratio, int | float) or not 0 <= ratio < float("inf"):
            raise ValueError(f"ratio: expected 0 or more memory iterations an iteration, got {ratio!r}")
        if per not in get_args(Per):
            raise ValueError(f"per: expected one of {get_args(Per)}, got {per!r}")
        if not isinstance(monitor_every, int) or monitor_every < 1:
            raise ValueError(f"monitor_every: expected a whole number of iterations, at least 1, got {monitor_every}")
        if not 0.0 <= relax_below <= 1.0:
            raise ValueError(f"relax_below: expected a share of the threshold in [0, 1], got {relax_below}")
        self.ratio = ratio
        self.per = per
        self.monitor_every = monitor_every
        self.relax_below = relax_below
        self.start()

    @property
    def needs(self) -> tuple[str, ...]:
        """What must be measured for it."""
        return ("straightness",) if self.per == "straight" else ()

    def memory_iterations(self, elapsed: int, interval: int | None, adapted: bool, straightness: float = 0.0) -> int:
        """Return how many iterations the memory fine-tuning of a merge has, at the end of a planned ``interval``."""
        if self.per == "planned" and interval is not None:
            iterations = interval * self.ratio
            return int(iterations) if adapted else round(iterations)
        ratio = max(self.ratio, straightness) if self.per == "straight" else self.ratio
        iterations = round(ratio * (1 if self.per == "merge" else elapsed))
        return max(1, iterations) if self.ratio else 0  # without any, a merge would only undo training

    def start(self, interval: int | None = None) -> None:
        """Begin an interval; even the shortest is monitored once."""
        self.wait = self.monitor_every if interval is None else min(self.monitor_every, interval)

    def next(self) -> bool:
        """Count an iteration, and say whether it is monitored."""
        self.wait -= 1
        return self.wait <= 0

    def update(self, loss: float, forgetting: Activations) -> None:
        """Decide when to monitor next, by the historical loss just taken, which the forgetting signal has seen."""
        threshold = forgetting.threshold
        far = threshold is not None and forgetting.status == "quiet" and loss < self.relax_below * threshold
        self.wait = 2 * self.monitor_every if far else self.monitor_every

    def losses_in(self, interval: int | None) -> int | None:
        """Return how many losses an interval has, which the forgetting signal takes its two thirds of."""
        return None if interval is None else max(1, interval // self.monitor_every)
