"""Nested state as JSON and tensors: what a checkpoint's two files hold.

Tensors and long lists of numbers go to a flat dict of tensors, all else stays a tree that JSON can hold. What JSON has
no word for is a dict with one key that begins with ``$``. Only the kinds listed here exist, and reading runs no code of
the file's.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

LONG = 32
"""Lists of at least as many numbers become tensors, which take less room and time."""
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_INT64 = range(-(2**63), 2**63)


def encode(state: Any) -> tuple[Any, dict[str, Tensor]]:
    """Split a state.

    :param state: None, booleans, numbers, text, tensors and NumPy arrays, in dicts, lists, tuples and sets.
    :return: what JSON can hold, and the tensors by the names that it uses; they are copies on the CPU.
    :raises TypeError: for anything else; the message says where it is.
    """
    tensors: dict[str, Tensor] = {}
    return _Encoder(tensors).encode(state, ""), tensors


def decode(tree: Any, tensors: dict[str, Tensor], device: torch.device) -> Any:
    """Join what :func:`encode` split; all of it is new.

    :param tree: as JSON gave it.
    :param tensors: the tensors.
    :param device: where tensors go that were not on the CPU.
    :raises ValueError: for a tree or names that :func:`encode` never writes.
    """
    try:
        return _decode(tree, tensors, device)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"expected the state of a checkpoint, got something else ({error!r})") from error


class _Encoder:
    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors

    def encode(self, value: Any, place: str) -> Any:
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {"$float": str(float(value))}
        if isinstance(value, Tensor):
            return self._tensor(value, place)
        if isinstance(value, np.ndarray):
            return {"$array": self._keep(torch.from_numpy(value), place)}
        if isinstance(value, dict):
            return self._dict(value, place)
        if isinstance(value, list):
            return self._list(value, place)
        if isinstance(value, tuple):
            return {"$tuple": self._list(list(value), place)}
        if isinstance(value, (set, frozenset)):
            return {"$set": self._list(list(value), place)}
        raise TypeError(
            f"a checkpoint holds numbers, text and tensors, in dicts and lists; got {type(value).__name__} at "
            f"{place or 'the top'}"
        )

    def _tensor(self, value: Tensor, place: str) -> Any:
        kept = {"$tensor": self._keep(value, place)}
        return kept if value.device.type == "cpu" else {**kept, "moved": True}

    def _keep(self, value: Tensor, place: str) -> str:
        name = place or "state"
        while name in self.tensors:  # keys with dots in them can make two places look the same
            name += "'"
        self.tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return name

    def _dict(self, value: dict[Any, Any], place: str) -> Any:
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: self.encode(item, f"{place}.{key}" if place else key) for key, item in value.items()}
        pairs = enumerate(value.items())
        return {"$map": [[self.encode(k, f"{place}.{i}.k"), self.encode(v, f"{place}.{i}")] for i, (k, v) in pairs]}

    def _list(self, value: list[Any], place: str) -> Any:
        if len(value) >= LONG:
            kinds = set(map(type, value))
            if kinds == {float}:
                return {"$numbers": self._keep(torch.tensor(value, dtype=torch.float64), place)}
            if kinds == {int} and min(value) in _INT64 and max(value) in _INT64:
                return {"$numbers": self._keep(torch.tensor(value, dtype=torch.int64), place)}
        return [self.encode(item, f"{place}.{i}") for i, item in enumerate(value)]


def _decode(tree: Any, tensors: dict[str, Tensor], device: torch.device) -> Any:
    if isinstance(tree, list):
        return [_decode(item, tensors, device) for item in tree]
    if not isinstance(tree, dict):
        return tree
    kind = next(iter(tree), "")
    if not kind.startswith("$"):
        return {key: _decode(item, tensors, device) for key, item in tree.items()}
    content = tree[kind]
    match kind:
        case "$tensor":
            return tensors[content].to(device if tree.get("moved") else "cpu", copy=True)
        case "$array":
            return tensors[content].numpy().copy()
        case "$numbers":
            return tensors[content].tolist()
        case "$float":
            return _NOT_FINITE[content]
        case "$tuple":
            return tuple(_decode(content, tensors, device))
        case "$set":
            return set(_decode(content, tensors, device))
        case "$map":
            return {_decode(k, tensors, device): _decode(v, tensors, device) for k, v in content}
    raise ValueError(f"expected one of the kinds that a checkpoint has, got {kind!r}")
