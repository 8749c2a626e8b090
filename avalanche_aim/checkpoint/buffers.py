"""Data in a checkpoint are names of rows: Avalanche's rehearsal buffers, and what a cumulative strategy has seen."""

from collections.abc import Iterable, Sequence
from typing import Any

from avalanche.benchmarks.utils import AvalancheDataset, concat_datasets
from avalanche.benchmarks.utils.flat_data import FlatData
from avalanche.training.storage_policy import (
    BalancedExemplarsBuffer,
    ClassBalancedBuffer,
    ExemplarsBuffer,
    ExperienceBalancedBuffer,
    ReservoirSamplingBuffer,
)
from torch import Tensor

from ..rehearsal.memory import RehearsalMemory

NAMED = (ReservoirSamplingBuffer, ExperienceBalancedBuffer, ClassBalancedBuffer)
"""Avalanche's buffers of rows that are never changed, so that naming them is enough."""
PLAIN = (type(None), bool, int, float, str, set, Tensor)


class Rows:
    """Names the rows of a stream by the data set under its experiences, and finds them again."""

    def __init__(self, experiences: Iterable[Any]) -> None:
        self._data = [experience.dataset for experience in experiences]
        self._numbers: dict[int, int] = {}
        for data in self._data:
            self._count(data)

    def names(self, data: AvalancheDataset) -> list[tuple[int, int]]:
        """Return the names of the rows of a data set; rows that are not the stream's are a ValueError."""
        names = [self._name(data, row) for row in range(len(data))]
        if None in names:
            raise ValueError("expected a buffer of the stream's own rows, which a checkpoint names; got others")
        return names  # type: ignore[return-value]

    def data(self, names: Sequence[tuple[int, int]]) -> Any:
        """Return the data set of the rows of these names; others than the stream's are a ValueError."""
        wanted, parts = set(names), []
        places: dict[tuple[int, int], int] = {}
        for data in self._data:
            if wanted <= places.keys():
                break
            rows = {}
            for row in range(len(data)):
                name = self._name(data, row)
                if name in wanted and name not in places:
                    places[name] = len(places)
                    rows[name] = row
            parts.append(data.subset(list(rows.values())))
        if not wanted <= places.keys():
            raise ValueError(f"expected rows of this stream, got {len(wanted - places.keys())} others")
        return concat_datasets(parts).subset([places[name] for name in names]) if names else concat_datasets([])

    def _count(self, data: Any) -> None:
        """Number the data sets at the bottom, in their order in the stream."""
        if isinstance(data, AvalancheDataset | FlatData):
            for inner in getattr(data, "_flat_data", data)._datasets:
                self._count(inner)
        else:
            self._numbers.setdefault(id(data), len(self._numbers))

    def _name(self, data: Any, row: int) -> tuple[int, int] | None:
        while isinstance(data, AvalancheDataset | FlatData):
            flat = getattr(data, "_flat_data", data)
            place, row = flat._get_idx(row)
            data = flat._datasets[place]
        number = self._numbers.get(id(data))
        return None if number is None else (number, int(row))


def problem_with(buffer: ExemplarsBuffer) -> str | None:
    """Say why a buffer can't be kept, or None if it can."""
    if isinstance(buffer, RehearsalMemory) or type(buffer) in NAMED:
        return None
    return (f"{type(buffer).__name__}, whose rows a checkpoint can't name; give it storage_policy="
            "RehearsalMemory(...), or one of " + ", ".join(kind.__name__ for kind in NAMED))  # fmt: skip


def experiences(item: Any) -> Iterable[Any]:
    """Return the experiences that one call of ``train`` is given."""
    return [item] if hasattr(item, "dataset") else item


def take_memory(memory: RehearsalMemory, rows: Rows) -> dict[str, Any]:
    """Return the state of a memory."""
    return {
        "memory": memory.state_dict(),
        "buffer": rows.names(memory.buffer),
        "pending": [rows.names(part) for part in memory.pending],
    }


def give_memory(memory: RehearsalMemory, state: dict[str, Any], past: Sequence[Any], rows: Rows) -> None:
    """Restore what :func:`take_memory` returned.

    :param past: what was trained on before: experiences, or streams of them.
    """
    seen = [experience for item in past for experience in experiences(item)]
    pending = [rows.data(part) for part in state["pending"]]
    memory.load_state_dict(state["memory"], seen, rows.data(state["buffer"]), pending)


def take(buffer: ExemplarsBuffer, rows: Rows) -> dict[str, Any]:
    """Return the state of one of the :data:`NAMED` buffers."""
    state = {name: value for name, value in vars(buffer).items() if isinstance(value, PLAIN)}
    if isinstance(buffer, BalancedExemplarsBuffer):
        return {**state, "groups": {key: take(group, rows) for key, group in buffer.buffer_groups.items()}}
    return {**state, "rows": rows.names(buffer.buffer)}


def give(buffer: ExemplarsBuffer, state: dict[str, Any], rows: Rows) -> None:
    """Restore what :func:`take` returned; the state of another buffer is a ValueError."""
    if wrong := state.keys() - vars(buffer).keys() - {"groups", "rows"}:
        raise ValueError(f"{type(buffer).__name__}: expected its own state, got {sorted(map(str, wrong))!r:.80}")
    vars(buffer).update({name: value for name, value in state.items() if name in vars(buffer)})
    if isinstance(buffer, BalancedExemplarsBuffer):
        buffer.buffer_groups = {key: ReservoirSamplingBuffer(0) for key in state["groups"]}
        for key, group in buffer.buffer_groups.items():
            give(group, state["groups"][key], rows)
    else:
        buffer.buffer = rows.data(state["rows"])
