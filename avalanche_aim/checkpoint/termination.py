"""SIGTERM, what machines that are taken away send first: noticed now, obeyed at the next batch."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Terminated(SystemExit):
    """Training ended because of SIGTERM, after a checkpoint. Left alone, it ends the process with status 143.

    :param message: where training resumes; it is printed at once, since nothing prints a ``SystemExit`` with a status.
    """

    def __init__(self, message: str) -> None:
        super().__init__(128 + signal.SIGTERM)
        self.message = message
        print(message, file=sys.stderr)

    def __str__(self) -> str:
        return self.message


class Termination:
    """Whether SIGTERM has come.

    :param watched: False to leave the signal alone.
    """

    def __init__(self, watched: bool) -> None:
        self.watched = watched
        self.asked = False

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Keep SIGTERM back inside; a second one ends the process at once. Other threads than the main one can't."""
        if not self.watched or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTERM, self._take)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)

    def _take(self, number: int, frame: Any) -> None:
        if self.asked:
            raise SystemExit(128 + signal.SIGTERM)
        self.asked = True
