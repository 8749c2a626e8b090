"""Dataclasses from plain data that comes from a file: every field there, and of its type."""

import math
import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

LARGEST = 1e100
"""No finite number that was measured is larger; one that is would overflow in sums and plots."""


def record(kind: type[T], data: Any, what: str, checked: Iterable[str] | None = None) -> T:
    """Make a dataclass from plain data.

    :param data: its fields as plain data; None stands for a number that is not finite, which JSON can't hold.
    :param checked: the fields whose types are checked; all by default.
    :raises ValueError: for missing or unknown fields, or a value of another type.
    """
    needed = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}  # type: ignore[arg-type]
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(data, dict) or not needed <= data.keys() <= known:
        got = sorted(map(str, data)) if isinstance(data, dict) else data
        raise ValueError(f"{what}: expected the fields {', '.join(sorted(needed))}, got {got!r:.200}")
    types_of, values = get_type_hints(kind), dict(data)
    for name in values.keys() & set(known if checked is None else checked):
        if values[name] is None and types_of[name] is float:
            values[name] = math.nan
        if not _fits(values[name], types_of[name]):
            raise ValueError(f"{what}: expected {name} of type {_name(types_of[name])}, got {values[name]!r:.80}")
    return kind(**values)


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say what differs between plain data of two times, ten values of it at most: ``epochs 1, now 2``."""
    names = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    return [f"{name} {then.get(name)!r:.80}, now {now.get(name)!r:.80}" for name in names[:10]]


def _fits(value: Any, kind: Any) -> bool:
    """Whether plain data is of a type: a plain one, a list of it, or a choice of several."""
    if get_origin(kind) in (Union, types.UnionType):
        return any(_fits(value, one) for one in get_args(kind))
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_fits(item, get_args(kind)[0]) for item in value)
    if isinstance(value, bool):
        return kind is bool
    if isinstance(value, float):
        return kind is float and (abs(value) < LARGEST or not math.isfinite(value))
    if isinstance(value, int):
        return kind in (int, float) and abs(value) < LARGEST
    if kind is str:
        return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)
    return isinstance(value, kind)


def _name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)
