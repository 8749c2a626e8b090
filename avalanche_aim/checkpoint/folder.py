"""Checkpoints on disk: one folder each, whole or not there, the newest whole one found.

``checkpoint-<experience>-<iteration>`` holds ``tensors.safetensors``, ``state.json`` and ``manifest.json``, which has
the format, and the sizes and checksums of the other two.
"""

import hashlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import safetensors.torch
import torch
from torch import Tensor

from ..training.out_of_memory import is_out_of_memory
from .encoding import decode, encode

FORMAT = 1
"""Of the files: raised with every change that makes older ones unreadable."""
_NAME = re.compile(r"checkpoint-(\d+)-(\d+)")
_PARTIAL = ".partial"
_MANIFEST, _STATE, _TENSORS = "manifest.json", "state.json", "tensors.safetensors"


class Damaged(ValueError):
    """A checkpoint that can't be used: the message says which file, and why."""


@dataclass
class Checkpoint:
    """A checkpoint that was read."""

    path: Path
    tree: Any
    tensors: dict[str, Tensor]

    def state(self, device: torch.device) -> dict[str, Any]:
        """Return the state; each call makes it anew.

        :param device: where tensors go that were on an accelerator.
        """
        state: dict[str, Any] = decode(self.tree, self.tensors, device)
        return state

    @contextmanager
    def understood(self) -> Iterator[None]:
        """Say of a state that raises an error where it is given that it is not one of this run.

        :raises Damaged: chained from that error.
        """
        try:
            yield
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            if is_out_of_memory(error):
                raise
            raise Damaged(f"{self.path}: expected a state of this run, got something else ({type(error).__name__}: "
                          f"{error!s:.500}); delete it to go on from the one before") from error  # fmt: skip


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

        :param state: see :func:`~avalanche_aim.checkpoint.encoding.encode`.
        :param experience: that is trained on.
        :param iteration: how many were done in it.
        :raises OSError: where it can't be written; nothing is left of it then.
        """
        final = self.path / f"checkpoint-{experience:04d}-{iteration:08d}"
        partial = self.path / f".{final.name}.{uuid4().hex}{_PARTIAL}"
        tree, tensors = encode(state)
        content = {
            _TENSORS: safetensors.torch.save(tensors),
            _STATE: json.dumps(tree, allow_nan=False, separators=(",", ":")).encode(),
        }
        files = {name: {"bytes": len(data), "sha256": _sha256(data)} for name, data in content.items()}
        manifest = {"format": FORMAT, "files": files}
        content[_MANIFEST] = (json.dumps(manifest, indent=1) + "\n").encode()
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            partial.mkdir()
            for name, data in content.items():
                _write(partial / name, data)
            _sync(partial)
            shutil.rmtree(final, ignore_errors=True)  # a damaged one, or one of an attempt that was gone back behind
            partial.rename(final)
            _sync(self.path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        self._whole = [path for path in self._whole if path != final] + [final]
        for old in self._whole[: -self.keep]:
            shutil.rmtree(old, ignore_errors=True)
        self._whole = self._whole[-self.keep :]
        return final

    def newest(self) -> Checkpoint | None:
        """Read the newest whole checkpoint; what a killed save left behind is removed.

        Damaged ones are passed over with a warning, and renamed once an older one is found to be whole.

        :return: the checkpoint, or None if there is none at all.
        :raises Damaged: if there are some, and none is whole.
        """
        for left in self.path.glob(f".checkpoint-*{_PARTIAL}"):
            shutil.rmtree(left, ignore_errors=True)
        found = sorted((path for path in self.path.glob("checkpoint-*") if _NAME.fullmatch(path.name)), key=_place)
        damaged: list[Damaged] = []
        for number in reversed(range(len(found))):
            try:
                checkpoint = _read(found[number])
            except Damaged as error:
                damaged.append(error)
                continue
            for problem, path in zip(damaged, reversed(found), strict=False):
                warnings.warn(f"{problem}; going on from {found[number].name}", stacklevel=3)
                _put_aside(path)
            self._whole = found[: number + 1]
            return checkpoint
        if damaged:
            raise Damaged(f"{self.path}: expected a whole checkpoint, got none: {'; '.join(map(str, damaged))}; delete "
                          "that folder to start from the beginning")  # fmt: skip
        return None

    def remove(self) -> None:
        """Remove all checkpoints, and the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def _place(path: Path) -> tuple[int, ...]:
    """Experience and iteration, as numbers: names grow longer than the digits they are given."""
    return tuple(map(int, path.name.split("-")[1:]))


def _read(path: Path) -> Checkpoint:
    manifest = _json(path / _MANIFEST, _bytes(path / _MANIFEST))
    version = manifest.get("format") if isinstance(manifest, dict) else None
    if version != FORMAT:
        raise Damaged(f"{path / _MANIFEST}: expected a checkpoint of format {FORMAT}, got {version!r}")
    content = {}
    for name in (_TENSORS, _STATE):
        content[name] = _bytes(path / name)
        try:
            size, checksum = manifest["files"][name]["bytes"], manifest["files"][name]["sha256"]
        except (KeyError, TypeError) as error:
            raise Damaged(f"{path / _MANIFEST}: expected size and checksum of {name}, got none") from error
        if len(content[name]) != size:
            raise Damaged(f"{path / name}: expected {size} bytes, got {len(content[name])}")
        if _sha256(content[name]) != checksum:
            raise Damaged(f"{path / name}: its content is not what was written (the checksum differs)")
    try:
        tensors = safetensors.torch.load(content[_TENSORS])
    except Exception as error:  # the library's own kinds, which differ from version to version
        raise Damaged(f"{path / _TENSORS}: expected tensors ({error})") from error
    tree = _json(path / _STATE, content[_STATE])
    try:
        if not isinstance(decode(tree, tensors, torch.device("cpu")), dict):
            raise ValueError("expected a mapping at the top")
    except ValueError as error:
        raise Damaged(f"{path / _STATE}: {error}") from error
    return Checkpoint(path, tree, tensors)


def _bytes(file: Path) -> bytes:
    try:
        if file.is_fifo():
            raise OSError("a pipe")  # which would be waited for
        return file.read_bytes()
    except OSError as error:
        raise Damaged(f"{file}: can't be read ({error.strerror or error})") from error


def _json(file: Path, content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{file}: expected JSON ({error})") from error


def _write(file: Path, content: bytes) -> None:
    with file.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync(folder: Path) -> None:
    """Have the names in a folder on the disk, too, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put_aside(path: Path) -> None:
    try:
        path.rename(path.with_name(f"damaged-{path.name}-{uuid4().hex[:8]}"))
    except OSError:
        warnings.warn(f"{path} is damaged, and can't be renamed; delete it", stacklevel=3)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
