"""Several commands in one folder: each run is made by the one that claims it first."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..distributed import on_main_process


class Claims:
    """The runs that are being made, each claimed by a lock that its process loses when it ends, however it ends.

    :param folder: of the locks.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def on(self, name: str) -> Iterator[bool]:
        """Claim a run while the block runs; the value is False where another command is making it.

        Where no lock can be had (the disk is full, the file system has none), the run is made all the same.
        """
        # No marker file in the place of a lock: that of a process killed on another machine would stay for ever.
        lock = FileLock(self._file(name), fallback_to_soft=False)
        try:
            yield on_main_process(lambda: self._taken(lock))
        finally:
            lock.release()

    def forget(self, name: str) -> None:
        """Remove the lock's file of a run that is finished, which nobody will make again."""
        with suppress(OSError):
            self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.lock"

    def _taken(self, lock: FileLock) -> bool:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(blocking=False)
        except Timeout:
            return False
        except (OSError, NotImplementedError):
            pass  # without a lock, then
        return True
