"""Which iterations are monitored: all of them in the method, some of them to save time."""

from .signals import ForgettingSignal
from .state import Stateful


class Monitoring(Stateful):
    """Decides after each iteration whether the historical loss is taken.

    The paper takes it at every iteration, at almost half the cost of a training step each time. Taken every few
    iterations, two thirds of the interval's losses still set the threshold; there are fewer of them, and
    activations come later.

    :param every: iterations from one historical loss to the next.
    :param relax_below: while the last loss was below this share of the threshold, twice as many; 0 for never.
    :raises ValueError: for less than one iteration, or a share outside [0, 1].
    """

    STATE = ("wait",)

    def __init__(self, every: int = 1, relax_below: float = 0.0) -> None:
        if not isinstance(every, int) or every < 1:
            raise ValueError(f"monitor_every: expected a whole number of iterations, at least 1, got {every}")
        if not 0.0 <= relax_below <= 1.0:
            raise ValueError(f"relax_below: expected a share of the threshold in [0, 1], got {relax_below}")
        self.every = every
        self.relax_below = relax_below
        self.start()

    def start(self, interval: int | None = None) -> None:
        """Begin an interval; even the shortest is monitored once.

        :param interval: S, or None where no length is planned.
        """
        self.wait = self.every if interval is None else min(self.every, interval)

    def next(self) -> bool:
        """Count an iteration, and say whether it is monitored."""
        self.wait -= 1
        return self.wait <= 0

    def update(self, loss: float, forgetting: ForgettingSignal) -> None:
        """Decide when to monitor next.

        :param loss: the historical loss just taken.
        :param forgetting: the forgetting signal, this loss included.
        """
        threshold = forgetting.threshold
        far = threshold is not None and forgetting.status == "quiet" and loss < self.relax_below * threshold
        self.wait = 2 * self.every if far else self.every

    def losses_in(self, interval: int | None) -> int | None:
        """How many losses an interval has, which the forgetting signal takes its two thirds of.

        :param interval: S, or None where no length is planned.
        """
        return None if interval is None else max(1, interval // self.every)
