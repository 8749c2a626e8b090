"""One merge a task."""

from .schedule import Schedule


class OncePerTask(Schedule):
    """Merge once, when the experience ends."""

    def __init__(self) -> None:
        super().__init__(None, merges_at_end=True)
