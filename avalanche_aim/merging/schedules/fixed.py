"""Merges at a fixed distance."""

from .schedule import Schedule


class FixedInterval(Schedule):
    """Merge every ``n`` iterations.

    :param n: the interval, in iterations.
    :param merges_at_end: whether what is left unmerged is merged when the experience ends.
    """

    def __init__(self, n: int = 8, merges_at_end: bool = False) -> None:
        super().__init__(n, merges_at_end)
