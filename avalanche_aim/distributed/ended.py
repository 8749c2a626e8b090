"""Which process has ended, where others lose their connection to it."""

import os
import socket
import sys
import time
from pathlib import Path
from types import TracebackType

from ..training.passing import is_connection_lost
from .processes import gathered

WAIT = 15.0
"""Seconds that a process may take to end once its connections are closed."""
_started: list[tuple[str, int]] = []
"""Machine and process id of each rank."""


def name_ended_processes() -> None:
    """Let an error of a lost connection that ends this process say whose it is; all processes have to call it."""
    if not _started:
        before = sys.excepthook

        def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            if is_connection_lost(error):
                error.add_note(_ended())
            before(kind, error, trace)

        sys.excepthook = hook
    _started[:] = gathered((socket.gethostname(), os.getpid()))


def _ended() -> str:
    """Say which processes of this machine have ended; the launcher says it of others."""
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        if ended := [(rank, pid) for rank, (host, pid) in enumerate(_started) if _has_ended(host, pid)]:
            which = ", ".join(f"{rank} (process id {pid})" for rank, pid in ended)
            return f"ended before this one: process {which}; what it printed last says why"
        time.sleep(0.1)
    return "no process of this machine has ended: look at the other machines, or for one that hangs"


def _has_ended(host: str, pid: int) -> bool:
    if host != socket.gethostname():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    try:  # one that its parent has not noticed yet
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (OSError, IndexError):
        return False
