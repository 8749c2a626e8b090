"""The library's cache folder, the keys in it, locks, and writing so that no reader meets half a file or folder."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock, Timeout


def cache_dir() -> Path:
    """Return the folder for everything that the library keeps between runs; it need not exist.

    ``$AVALANCHE_AIM_CACHE``, else ``$XDG_CACHE_HOME/avalanche_aim``, else ``~/.cache/avalanche_aim``.
    """
    if own := os.environ.get("AVALANCHE_AIM_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "avalanche_aim"


def resolve_cache(cache: bool | str | Path, name: str) -> Path | None:
    """Return the folder that a ``cache`` argument asks for.

    :param cache: True for the folder ``name`` in :func:`cache_dir`, False for none, or a folder.
    :raises TypeError: for anything else.
    """
    if isinstance(cache, bool):
        return cache_dir() / name if cache else None
    if not isinstance(cache, (str, Path)) or not str(cache):
        raise TypeError(f"cache: expected True, False or a folder, got {cache!r}")
    return Path(cache).expanduser()


def digest(content: Any) -> str:
    """Return the SHA-256 of plain data, in hexadecimal.

    :param content: what JSON can hold; the order of a dict's keys does not count.
    """
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Write a file that appears under its name only once it is whole on the disk; its folder is made if need be.

    :raises OSError: where it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own, since another process may write the same file at the same time. Not from tempfile, whose files
    # no one else may read.
    partial = path.with_name(f".{path.name[:100]}.{uuid4().hex}")
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Fill a folder that appears under its name only once it is whole; one that was there is replaced as a whole.

    If the process dies between the two renames, what was there is beside it, under a name that begins with a dot.

    :return: where to write, beside it; gone if the body raises.
    :raises OSError: where it cannot be written.
    """
    folder = folder.resolve()
    partial, before = (folder.with_name(f".{folder.name[:100]}.{uuid4().hex}") for _ in range(2))
    try:
        partial.mkdir(parents=True)
        yield partial
        if folder.exists():
            folder.rename(before)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        if before.exists():
            before.rename(folder)
        raise
    shutil.rmtree(before, ignore_errors=True)


@contextmanager
def locked(file: Path, wait: bool) -> Iterator[bool]:
    """Hold a lock while the block runs; its process loses it when it ends, however it ends.

    Where none can be had (the disk is full, the file system has none), the block runs all the same.

    :param file: of the lock.
    :param wait: whether to wait for another process that holds it.
    :return: False where another process holds it.
    """
    # No marker file in the place of a lock: that of a process killed on another machine would stay for ever.
    lock, ours = FileLock(file, blocking=wait, fallback_to_soft=False), True
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        ours = False
    except (OSError, NotImplementedError):
        pass  # without a lock, then
    try:
        yield ours
    finally:
        lock.release()
