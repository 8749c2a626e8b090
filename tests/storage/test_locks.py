"""A lock is held by one process at a time, and lost with it."""

import multiprocessing
import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from forked import CONTEXT, forked

from avalanche_aim.storage.files import locked


def hold(file: Path, held: Any) -> None:
    """Hold a lock until the process is killed."""
    with locked(file, wait=False) as ours:
        held.put(ours)
        time.sleep(600)


def test_a_lock_is_held_once_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "new" / "lock"
    with locked(file, wait=False) as ours, locked(file, wait=False) as theirs:
        assert (ours, theirs) == (True, False)
        with locked(tmp_path / "new" / "other", wait=False) as other:
            assert other
    with locked(file, wait=False) as theirs:
        assert theirs


def test_a_lock_ends_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), locked(tmp_path / "lock", wait=False):
        raise RuntimeError
    with locked(tmp_path / "lock", wait=False) as ours:
        assert ours


@pytest.mark.slow
def test_a_lock_ends_with_a_killed_process(tmp_path: Path) -> None:
    held: multiprocessing.Queue[bool] = CONTEXT.Queue()
    process = forked(hold, tmp_path / "log", {}, tmp_path / "lock", held)
    assert held.get(timeout=60)
    with locked(tmp_path / "lock", wait=False) as ours:
        assert not ours
    process.kill()
    process.join()
    with locked(tmp_path / "lock", wait=True) as ours:
        assert ours


@pytest.mark.parametrize("error", [OSError("no space left"), NotImplementedError("no flock")])
def test_where_no_lock_can_be_had_the_block_runs(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(lock: FileLock, **chosen: Any) -> None:
        raise error

    monkeypatch.setattr(FileLock, "acquire", fail)
    with locked(tmp_path / "lock", wait=True) as ours:
        assert ours
