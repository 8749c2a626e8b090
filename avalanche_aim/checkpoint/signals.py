"""SIGTERM, which machines that are taken away send first, and Ctrl-C: noticed now, obeyed at the next batch."""

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


def ended(number: int, where: str) -> BaseException:
    """Return what to raise once the checkpoint is written."""
    if number == signal.SIGTERM:
        return Terminated(f"terminated at {where}; the same command resumes there")
    return KeyboardInterrupt(f"interrupted at {where}; the same command resumes there")


class Signals:
    """Which signal has come.

    :param watched: False to leave signals alone.
    """

    def __init__(self, watched: bool) -> None:
        self.watched = watched
        self.got: int | None = None

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Keep signals back inside; a second one ends the process at once. Other threads than the main one can't."""
        self.got = None
        if not self.watched or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        heeded = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
        for number in heeded:
            signal.signal(number, self._take)
        try:
            yield
        finally:
            for number in heeded:
                signal.signal(number, signal.SIG_DFL if before[number] is None else before[number])

    def _take(self, number: int, frame: Any) -> None:
        if self.got is not None:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        self.got = number
        if number == signal.SIGINT:
            print("saving a checkpoint before the next batch; Ctrl-C again stops at once", file=sys.stderr)
