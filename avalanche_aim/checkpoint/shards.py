"""Sharded tensors of a checkpoint: written by each process for itself, read by any number of processes.

They are a folder of ``torch.distributed.checkpoint`` beside the checkpoint's file, which says where each belongs.
"""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..distributed.sharding import all_weights
from ..merging.task_vectors import is_sharded

_MARK = "sharded tensor"
_KNOWN = ("torch.distributed.checkpoint.metadata", "torch.distributed.checkpoint.filesystem")
_ALLOWED = ("torch.serialization._get_layout", "pathlib.PosixPath", "collections.OrderedDict")


def split(state: Any) -> tuple[Any, dict[str, Tensor]]:
    """Return a state with marks in place of its sharded tensors, and these by the marks' names."""
    shards: dict[str, Tensor] = {}

    def mark(value: Any) -> Any:
        if not (isinstance(value, Tensor) and is_sharded(value)):
            return value
        name = str(len(shards))
        shards[name] = value.detach()
        return (_MARK, name, list(value.shape), str(value.dtype).removeprefix("torch."))

    return _mapped(state, mark), shards


def save(shards: dict[str, Tensor], folder: Path) -> None:
    """Write sharded tensors, each process its own; all have to call it, and the OSError of one is raised on all."""
    from torch.distributed import checkpoint

    try:
        checkpoint.save(dict(shards), checkpoint_id=folder)
    except checkpoint.CheckpointException as error:
        reasons = "; ".join(f"process {rank}: {reason}" for rank, (reason, _) in error.failures.items())
        raise OSError(f"{folder}: shards could not be written ({reasons:.300})") from error


def sizes(folder: Path) -> dict[str, int]:
    """Return the files of a folder of shards, and their bytes."""
    return {path.name: path.stat().st_size for path in folder.glob("*") if path.is_file()} if folder.is_dir() else {}


def joined(state: Any, folder: Path, model: nn.Module) -> Any:
    """Put the sharded tensors back into a state, as the model is sharded now, or whole where it is whole.

    :param model: the model; all processes that share it have to call this.
    :raises ValueError: for a state of whole weights beside a model that is sharded.
    """
    layout: Any = next(filter(is_sharded, all_weights(model)), None)
    tensors: dict[str, Tensor] = {}

    def empty(value: Any) -> Any:
        if not (isinstance(value, tuple) and value[:1] == (_MARK,)):
            return value
        _, name, shape, dtype = value
        kind = {"dtype": getattr(torch, dtype)}
        if layout is None:
            device = next(model.parameters()).device
            tensors[name] = torch.empty(shape, device=device, **kind)
        else:
            from torch.distributed.tensor import empty as empty_like

            tensors[name] = empty_like(*shape, **kind, device_mesh=layout.device_mesh, placements=layout.placements)
        return tensors[name]

    found = _mapped(state, empty)
    if layout is not None and not tensors:
        raise ValueError("expected a checkpoint of sharded weights, as the model's are, got one of whole weights; "
                         "resume with DDP or in one process")  # fmt: skip
    if tensors:
        from torch.distributed import checkpoint, is_initialized

        checkpoint.load(tensors, storage_reader=_reader(folder), no_dist=not is_initialized())
    return found


def _reader(folder: Path) -> Any:
    """A reader that runs no code of the files': torch's unpickles whatever the metadata name."""
    from torch.distributed.checkpoint import FileSystemReader
    from torch.distributed.checkpoint.metadata import StorageMeta

    class Reader(FileSystemReader):
        def read_metadata(self, *args: Any, **kwargs: Any) -> Any:
            with (folder / ".metadata").open("rb") as file:
                metadata = _Unpickler(file).load()
            metadata.storage_meta = metadata.storage_meta or StorageMeta()
            metadata.storage_meta.load_id = self.load_id
            return metadata

    return Reader(folder)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        plain = module == "torch" and isinstance(getattr(torch, name, None), type | torch.dtype | torch.layout)
        if module in _KNOWN or plain or f"{module}.{name}" in _ALLOWED:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"expected metadata of shards, got {module}.{name}")


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Copy a nested state, each value changed."""
    value = change(value)
    if isinstance(value, dict):
        return {key: _mapped(item, change) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_mapped(item, change) for item in value)
    return value
