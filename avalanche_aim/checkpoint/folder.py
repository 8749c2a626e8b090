"""Checkpoint files: whole or not there, the newest whole one found.

``checkpoint-<experience>-<iteration>.pt`` is written by ``torch.save`` and read by ``torch.load(weights_only=True)``,
which runs no code of the file's.
"""

import io
import re
import shutil
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from torch import Tensor

from ..storage.files import write_atomically
from ..storage.versions import versions
from ..training.out_of_memory import is_out_of_memory
from .shards import sizes

FORMAT = 3
"""Raised with every change that makes older checkpoints unreadable; version 0.1.0 wrote format 1, a folder each."""
SHARDS = ".shards"
"""Ending of the folder with the sharded tensors of a checkpoint."""
_NAME = re.compile(r"checkpoint-(\d+)-(\d+)(\.pt)?")


class Damaged(ValueError):
    """A checkpoint that can't be used: the message says which file, and why."""


@dataclass
class Checkpoint:
    """A checkpoint that was read: its file, that file's content, and the versions of the libraries that wrote it."""

    path: Path
    content: bytes
    versions: dict[str, str]

    def state(self, device: torch.device) -> dict[str, Any]:
        """Return the state, made anew by each call; what was on an accelerator is put on this device."""
        state: dict[str, Any] = _load(self.content, device)["state"]
        return state

    @property
    def shards(self) -> Path:
        """The folder with its sharded tensors."""
        return self.path.with_suffix(SHARDS)

    @contextmanager
    def understood(self) -> Iterator[None]:
        """Report an error inside as :class:`Damaged`, chained from it: the state is not one of this run."""
        try:
            yield
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            if is_out_of_memory(error):
                raise
            raise Damaged(f"{self.path}: expected a state of this run, got something else ({type(error).__name__}: "
                          f"{error!s:.500}); delete it to resume from the one before") from error  # fmt: skip


class CheckpointFolder:
    """The checkpoints of one run.

    :param path: their folder; made when the first is saved.
    :param keep: how many are kept.
    :raises ValueError: if none is to be kept.
    """

    def __init__(self, path: Path | str, keep: int = 2) -> None:
        if keep < 1:
            raise ValueError(f"keep: expected at least 1 checkpoint, got {keep}")
        self.path = Path(path)
        self.keep = keep
        self._whole: list[Path] = []
        """Those known to be whole, oldest first. What is damaged must never push them out."""

    def save(self, state: dict[str, Any], experience: int, iteration: int) -> Path:
        """Write a checkpoint, which appears under its name only once it is whole on the disk; drop the oldest.

        :param state: None, booleans, numbers, text and tensors, in dicts, lists, tuples and sets.
        :param experience: that is trained on.
        :param iteration: how many were done in it.
        :raises TypeError: for a state with anything else; the message says where it is.
        :raises OSError: where it can't be written; nothing is left of it then.
        """
        path = self.shards(experience, iteration).with_suffix(".pt")
        write(path, state)
        self._whole = [*(other for other in self._whole if other != path), path]
        for old in self._whole[: -self.keep]:
            old.unlink(missing_ok=True)
            shutil.rmtree(old.with_suffix(SHARDS), ignore_errors=True)
        self._whole = self._whole[-self.keep :]
        return path

    def shards(self, experience: int, iteration: int) -> Path:
        """Return the folder for the sharded tensors of a checkpoint, which are written before it."""
        return self.path / f"checkpoint-{experience:04d}-{iteration:08d}{SHARDS}"

    def newest(self) -> Checkpoint | None:
        """Read the newest whole checkpoint; what a killed save left behind is removed.

        Damaged ones are passed over with a warning, and renamed once an older one is found to be whole.

        :return: the checkpoint, or None if there is none at all.
        :raises Damaged: if there are some, and none is whole.
        :raises ValueError: for one of another version of this library.
        """
        for left in filter(Path.is_file, self.path.glob(".checkpoint-*")):
            left.unlink(missing_ok=True)
        for left in self.path.glob(f"checkpoint-*{SHARDS}"):
            if not left.with_suffix(".pt").exists():
                shutil.rmtree(left, ignore_errors=True)
        named = [(_NAME.fullmatch(path.name), path) for path in self.path.glob("checkpoint-*")]
        # As numbers: names grow longer than the digits they are given.
        found = [path for *_, path in sorted((int(name[1]), int(name[2]), path) for name, path in named if name)]
        damaged: dict[Path, Damaged] = {}
        for number, path in reversed(list(enumerate(found))):
            try:
                checkpoint = read(path)
            except Damaged as error:
                damaged[path] = error
                continue
            for other, problem in damaged.items():
                warnings.warn(f"{problem}; resuming from {path.name}", stacklevel=3)
                _put_aside(other)
            self._whole = found[: number + 1]
            return checkpoint
        if damaged:
            found_bad = "; ".join(map(str, damaged.values()))
            raise Damaged(f"{self.path}: expected a whole checkpoint, got none: {found_bad}; delete that folder to "
                          "start from the beginning")  # fmt: skip
        return None

    def remove(self) -> None:
        """Remove all checkpoints, and the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def write(path: Path, state: dict[str, Any]) -> None:
    """Write a file that :func:`read` reads; it appears under its name only once it is whole on the disk."""
    content = io.BytesIO()
    saved = {"versions": versions(), "shards": sizes(path.with_suffix(SHARDS)), "state": plain(state)}
    torch.save({"format": FORMAT, **saved}, content)
    write_atomically(path, content.getbuffer())


def plain(value: Any, place: str = "") -> Any:
    """Copy a state, down to what ``torch.load(weights_only=True)`` reads; a TypeError says where it holds more."""
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, Tensor):
        value = value.detach()
        return value if value.untyped_storage().nbytes() == value.nbytes else value.clone()  # not what it is a view of
    if isinstance(value, dict):
        return {plain(key, f"{place}.{key}"): plain(item, f"{place}.{key}") for key, item in value.items()}
    for container, kinds in ((list, list), (tuple, tuple), (set, (set, frozenset))):
        if isinstance(value, kinds):
            return container(plain(item, f"{place}.{number}") for number, item in enumerate(value))
    raise TypeError(
        "a checkpoint holds numbers, text and tensors, in dicts, lists, tuples and sets; got "
        f"{type(value).__name__} at {place.removeprefix('.') or 'the top'}"
    )


def _load(content: bytes, device: torch.device) -> Any:
    def move(storage: Any, location: str) -> Any:
        return storage if location == "cpu" else storage.to(device=device)

    return torch.load(io.BytesIO(content), map_location=move, weights_only=True)


def read(path: Path) -> Checkpoint:
    """Read a file of :func:`write`.

    :raises Damaged: for any other file, or a damaged one.
    :raises ValueError: for one of another version of this library.
    """
    if path.is_dir() and path.suffix != ".pt":
        raise _of_another_version(path, 1, {"avalanche-aim": "0.1.0"})
    try:
        if path.is_fifo():
            raise OSError("a pipe")  # which would be waited for
        content = path.read_bytes()
    except OSError as error:
        raise Damaged(f"{path}: can't be read ({error.strerror or error})") from error
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:  # torch.load does not look at the checksums
            if changed := archive.testzip():
                raise ValueError(f"the checksum of {changed} differs")
        saved = _load(content, torch.device("cpu"))
    except Exception as error:  # of kinds that depend on the damage
        reason = str(error).partition("\n")[0]
        raise Damaged(f"{path}: expected a checkpoint, got something else, or one with damage "
                      f"({type(error).__name__}: {reason:.200})") from error  # fmt: skip
    if not isinstance(saved, dict) or not {"format", "versions", "state"} <= saved.keys():
        raise Damaged(f"{path}: expected a checkpoint, got another file of torch.save")
    if saved["format"] != FORMAT:
        raise _of_another_version(path, saved["format"], saved["versions"])
    if (expected := saved.get("shards")) and expected != sizes(path.with_suffix(SHARDS)):
        raise Damaged(f"{path}: expected the shards that were written with it in {path.stem}{SHARDS}, got others")
    if not isinstance(saved["state"], dict) or not isinstance(saved["versions"], dict):
        raise Damaged(f"{path}: expected a state by name, got {type(saved['state']).__name__}")
    return Checkpoint(path, content, saved["versions"])


def _of_another_version(path: Path, number: Any, wrote: Any) -> ValueError:
    version = wrote.get("avalanche-aim") if isinstance(wrote, Mapping) else "of another version"
    return ValueError(
        f"{path}: expected a checkpoint of format {FORMAT}, got format {number!r:.80}, written by avalanche-aim "
        f"{version!s:.80}; finish the run with that version, or delete {path.parent} to start from the beginning"
    )


def _put_aside(path: Path) -> None:
    try:
        path.rename(path.with_name(f"damaged-{path.name}-{uuid4().hex[:8]}"))
    except OSError:
        warnings.warn(f"{path} is damaged, and can't be renamed; delete it", stacklevel=3)
