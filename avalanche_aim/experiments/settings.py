"""Settings declared once: name, type, default, help and range of each stand in one line of a dataclass.

Command line, YAML file, stored runs and the table in the docs derive from that line.
"""

import argparse
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, dataclass, field, fields
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from ..storage.records import LARGEST


@dataclass(frozen=True)
class Range:
    """Which values of its type a setting takes.

    :param words: what is expected, for error messages.
    :param holds: whether a value is in it.
    """

    words: str
    holds: Callable[[Any], bool]


Count = Annotated[int, Range("an integer of 1 or more", lambda n: 1 <= n < 2**31)]
Whole = Annotated[int, Range("an integer of 0 or more", lambda n: 0 <= n < 2**31)]
Seed = Annotated[int, Range("an integer of 0 or more, and below 2^63", lambda n: 0 <= n < 2**63)]
Positive = Annotated[float, Range("a positive number", lambda x: 0 < x < LARGEST)]
NotNegative = Annotated[float, Range("a number of 0 or more", lambda x: 0 <= x < LARGEST)]
Share = Annotated[float, Range("a number of 0 or more, and below 1", lambda x: 0 <= x < 1)]
Amount = Annotated[
    int | float,
    Range(
        "a fraction from 0 to 1, written with a point (0.02), or a count (8)",
        lambda n: 0 <= n <= 1 if isinstance(n, float) else 0 <= n < 2**31,
    ),
]


def setting(default: Any, help: str, *, flags: Iterable[str] = (), metavar: str = "", varies: bool = False,
            kinds: Iterable[str] = ()) -> Any:  # fmt: skip
    """Declare a setting as a field of a dataclass; its annotation says type and range.

    :param default: its default; where that is None or empty and the help says what it stands for, it is not shown.
    :param help: what it does, without its default.
    :param flags: further names on the command line.
    :param varies: whether runs in one folder may differ in it.
    :param kinds: the kinds of models that it is for (:data:`~avalanche_aim.experiments.models.KINDS`); all by default.
    """
    metadata = {"help": help, "flags": tuple(flags), "metavar": metavar, "varies": varies, "kinds": tuple(kinds)}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Setting:
    """A declared setting."""

    name: str
    default: Any
    help: str
    flags: tuple[str, ...]
    metavar: str
    varies: bool
    kinds: tuple[str, ...]
    types: tuple[type, ...]
    choices: tuple[str, ...]
    ranges: tuple[Range, ...]
    many: bool
    optional: bool

    @property
    def words(self) -> str:
        """What is expected of it."""
        if self.choices:
            one = f"one of {', '.join(self.choices)}"
        else:
            one = self.ranges[0].words if self.ranges else " or ".join(_WORDS[kind] for kind in self.types)
        return (f"one or more, each {one}" if self.many else one) + (" or none" if self.optional else "")

    def of(self, value: Any) -> Any:
        """Return a value as it is kept, from plain data: of YAML, of JSON, or of the user's Python.

        A single value need not stand in a list, and a number may be text, since YAML takes 1e-3 for text.

        :raises ValueError: if it is of another type or out of range.
        """
        if value is None and self.optional:
            return None
        if not self.many:
            return self._one(value)
        values = list(value) if isinstance(value, (list, tuple)) else [value]
        if not values and self.default != ():
            raise self._refused(value)
        return tuple(dict.fromkeys(self._one(one, value) for one in values))

    def read(self, text: str) -> Any:
        """Read one value from the command line.

        :raises argparse.ArgumentTypeError: for anything else.
        """
        if self.optional and text.lower() == "none":
            return None
        for kind in self.types:
            try:
                value = _READ[kind](text)
            except (ValueError, RecursionError):
                continue
            return value
        raise argparse.ArgumentTypeError(f"expected {self.words}, got {text!r:.80}")

    def _one(self, value: Any, given: Any = None) -> Any:
        if isinstance(value, str) and not {str, bool, dict} & set(self.types):
            with suppress(argparse.ArgumentTypeError):  # it is refused below
                value = self.read(value)
        if self.many and str in self.types and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)  # order 1
        in_choices = not self.choices or value in self.choices
        if not self._is_of_type(value) or not in_choices or not all(one.holds(value) for one in self.ranges):
            raise self._refused(value if given is None else given)
        return value

    def _is_of_type(self, value: Any) -> bool:
        if isinstance(value, bool) or bool in self.types:
            return isinstance(value, bool) and bool in self.types
        if isinstance(value, int) and float in self.types:
            return True
        return isinstance(value, self.types) and value != ""

    def _refused(self, value: Any) -> ValueError:
        shown = list(value) if isinstance(value, tuple) else value
        return ValueError(f"{self.name}: expected {self.words}, got {shown!r:.200}")


_KNOWN: dict[Any, Mapping[str, Setting]] = {}


def settings_of(declared: Any) -> Mapping[str, Setting]:
    """Return the settings that a dataclass declares, by name; those of its own before those that it inherits."""
    if declared not in _KNOWN:
        hints = get_type_hints(declared, include_extras=True)
        own = [f for f in fields(declared) if f.name in inspect.get_annotations(declared)]
        others = [f for f in fields(declared) if f not in own]
        _KNOWN[declared] = {f.name: _setting(f, hints[f.name]) for f in (*own, *others)}
    return _KNOWN[declared]


def _setting(declared: Field, hint: Any) -> Setting:
    ranges: list[Range] = []
    types: list[type] = []
    choices: tuple[str, ...] = ()
    many = optional = False
    waiting = [hint]
    while waiting:
        part = waiting.pop(0)
        origin, inner = get_origin(part), get_args(part)
        if origin is Annotated:
            ranges += inner[1:]
            waiting.append(inner[0])
        elif origin in (Union, UnionType):
            waiting += inner
        elif origin is tuple:
            many = True
            waiting.append(inner[0])
        elif origin is Literal:
            choices = inner
            types.append(str)
        elif part is type(None):
            optional = True
        else:
            types.append(origin or part)
    default = declared.default_factory() if declared.default_factory is not MISSING else declared.default
    return Setting(declared.name, default, **declared.metadata, types=tuple(types), choices=choices,
                   ranges=tuple(ranges), many=many, optional=optional)  # fmt: skip


def add_arguments(parser: Any, declared: type, names: Iterable[str], defaults: Mapping[str, Any]) -> None:
    """Add an argument for each setting; those that are not given are not in the parsed namespace.

    :param defaults: their defaults, for the help, where they are others here.
    """
    for name in names:
        one = settings_of(declared)[name]
        default = defaults.get(name, one.default)
        shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
        help = one.help.replace("%", "%%")
        if shown not in (None, "", {}):
            help += f" (default: {str(shown).replace('%', '%%')})"
        options: dict[str, Any] = {"dest": name, "default": argparse.SUPPRESS, "help": help}
        if one.types == (bool,):
            options["action"] = argparse.BooleanOptionalAction
        else:
            options["type"] = one.read
            options["metavar"] = one.metavar or ("{" + ",".join(one.choices) + "}" if one.choices else "VALUE")
            if one.many:
                options["nargs"] = "+"
        parser.add_argument(*(f"--{flag}".replace("_", "-") for flag in (name, *one.flags)), **options)


def _json(text: str) -> Any:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError
    return value


_READ: dict[type, Callable[[str], Any]] = {int: int, float: float, str: str, dict: _json}
_WORDS = {int: "an integer", float: "a number", str: "a text", bool: "true or false", dict: "a mapping"}
