"""What happened: one record per merge, one per monitored iteration, as CSV and JSON."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints
from uuid import uuid4

from .controller import Merge
from .diagnosis import Finding

LARGEST = 1e100
"""No finite number that was measured is larger; one that is would overflow in sums and plots."""


@dataclass(frozen=True)
class Place:
    """Where a record was made: ``iteration`` counts from 1 in its experience."""

    experience: int
    iteration: int


@dataclass(frozen=True)
class MonitorRecord(Place):
    """One monitored iteration.

    ``status`` is "collecting", "quiet", "active", "forced" or, for a historical loss that was not finite, "skipped";
    "rolled back" where the weights were not finite either and went back to θ_prev. ``active`` says whether it counted
    as an activation.
    """

    training_loss: float
    historical_loss: float
    threshold: float | None
    status: str
    active: bool


# Dataclasses take the fields of their last base first, so that place, decision and outcome follow in that order.
@dataclass(frozen=True)
class MergeRecord(Merge, Place):
    """One merge: where it happened, what was decided, and what came of it.

    ``memory_loss_before`` and ``memory_loss_after`` are the losses of the first and the last memory batch, each
    taken before its optimizer step; None where there was no memory iteration. ``merged`` is False where the
    merge was given up because a memory loss or the merged weights were not finite; the weights then stayed as training
    left them.
    ``kept`` is the share of τ_new that the merge kept, None where it was given up or nothing had moved.
    ``diagnosis`` names what :class:`~avalanche_aim.merging.Diagnosis` recognised: "oscillation", "stagnation",
    "oscillation+stagnation" or nothing.
    """

    memory_loss_before: float | None
    memory_loss_after: float | None
    merged: bool
    kept: float | None
    diagnosis: str

    @classmethod
    def of(
        cls,
        experience: int,
        iteration: int,
        decision: Merge,
        losses: Sequence[float],
        merged: bool,
        kept: float | None,
        findings: Sequence[Finding],
    ) -> "MergeRecord":
        """Join a decision with what came of it."""
        before, after = (losses[0], losses[-1]) if losses else (None, None)
        return cls(
            experience=experience,
            iteration=iteration,
            **{f.name: getattr(decision, f.name) for f in fields(Merge)},
            memory_loss_before=before,
            memory_loss_after=after,
            merged=merged,
            kept=kept,
            diagnosis="+".join(finding.name for finding in findings),
        )


@dataclass
class History:
    """All records of a run, in order of time, and notes of what it warned of."""

    merges: list[MergeRecord] = field(default_factory=list)
    iterations: list[MonitorRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the records as plain data."""
        return {
            "merges": [asdict(record) for record in self.merges],
            "iterations": [asdict(record) for record in self.iterations],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, data: dict[str, list[Any]]) -> "History":
        """Build a history from what :meth:`to_dict` returned; a ValueError says where it is none."""
        parts = [data.get(name) for name in ("merges", "iterations")] if isinstance(data, dict) else []
        if not parts or not all(isinstance(part, list) for part in parts):
            got = sorted(map(str, data)) if isinstance(data, dict) else data
            raise ValueError(
                f"expected a history with 'merges' and 'iterations', two lists of records, got {got!r:.200}"
            )
        notes = data.get("notes", [])  # runs of version 0.1.0 have none
        if not isinstance(notes, list) or not all(_fits(note, str) for note in notes):
            raise ValueError(f"history: expected notes, a list of lines, got {notes!r:.200}")
        return cls(
            [_record(MergeRecord, one, f"history, merge {row}") for row, one in enumerate(data["merges"])],
            [_record(MonitorRecord, one, f"history, iteration {row}") for row, one in enumerate(data["iterations"])],
            list(notes),
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the records as columns, which a checkpoint keeps in a fraction of the room that rows take."""
        return {
            "merges": _columns(MergeRecord, self.merges),
            "iterations": _columns(MonitorRecord, self.iterations),
            "notes": list(self.notes),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned; a ValueError says where it is none."""
        history = self.from_dict({name: part if name == "notes" else _rows(part) for name, part in state.items()})
        self.merges, self.iterations, self.notes = history.merges, history.iterations, history.notes

    def write(self, folder: Path | str, stem: str = "history") -> list[Path]:
        """Write ``<stem>.json``, ``<stem>_merges.csv`` and ``<stem>_iterations.csv``.

        :return: the files written, each whole or not at all. JSON has null where a number is not finite.
        """
        files = {
            f"{stem}.json": json.dumps(_finite(self.to_dict()), allow_nan=False) + "\n",
            f"{stem}_merges.csv": _csv(MergeRecord, self.merges),
            f"{stem}_iterations.csv": _csv(MonitorRecord, self.iterations),
        }
        for name, text in files.items():
            _write_whole(Path(folder) / name, text)
        return [Path(folder) / name for name in files]


def _write_whole(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name[:100]}.{uuid4().hex}")
    try:
        part.write_bytes(text.encode())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _record(kind: type, data: Any, what: str) -> Any:
    """Make a record from data that may come from anywhere: every field there, and of its type."""
    types_of = get_type_hints(kind)
    if not isinstance(data, dict) or data.keys() != types_of.keys():
        got = sorted(map(str, data)) if isinstance(data, dict) else data
        raise ValueError(f"{what}: expected the fields {', '.join(sorted(types_of))}, got {got!r:.200}")
    values = dict(data)
    values.update({name: math.nan for name, value in data.items() if value is None and types_of[name] is float})
    for name, value in values.items():
        if not any(_fits(value, one) for one in get_args(types_of[name]) or (types_of[name],)):
            raise ValueError(f"{what}: expected {name} of type {types_of[name]}, got {value!r:.80}")
    return kind(**values)


def _fits(value: Any, kind: Any) -> bool:
    if kind is str:
        return isinstance(value, str) and value.isprintable()
    if kind is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and (abs(value) < LARGEST or (isinstance(value, float) and not math.isfinite(value)))
    return type(value) is kind and (kind is not int or abs(value) < LARGEST)


def _columns(kind: type, records: Sequence[Any]) -> dict[str, list[Any]]:
    return {f.name: [getattr(record, f.name) for record in records] for f in fields(kind)}


def _rows(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _csv(kind: type, records: Sequence[Any]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, [f.name for f in fields(kind)])
    writer.writeheader()
    writer.writerows(asdict(record) for record in records)
    return file.getvalue()


def _finite(value: Any) -> Any:
    """Replace what JSON cannot hold (NaN and the infinities) by None."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value
