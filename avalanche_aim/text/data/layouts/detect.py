"""Which layout a folder is in."""

import os
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from .cl_benchmark import NaturalInstructionsLayout, OLoRALayout
from .layout import Layout
from .mmlu_pro import MMLUProLayout
from .ready import AIMMergingLayout, PlainLayout, TRACELayout

LAYOUTS: list[Layout] = [
    AIMMergingLayout(),
    OLoRALayout(),
    NaturalInstructionsLayout(),
    TRACELayout(),
    MMLUProLayout(),
    PlainLayout(),
]
"""All layouts, in the order in which they are tried: the last fits almost anything."""
GROUP = "avalanche_aim.layouts"
"""The entry points by which an installed package brings layouts of its own: subclasses of :class:`Layout`."""


def register_layout(layout: Layout) -> None:
    """Add a layout of your own; it is tried before all others.

    :param layout: the layout; one of the same name is replaced.
    :raises TypeError: for anything else.
    """
    if not isinstance(layout, Layout) or not all(
        isinstance(getattr(layout, n, None), str) for n in ("name", "pattern")
    ):
        raise TypeError(f"expected a Layout with a name and a pattern, got {layout!r:.80}; see docs/extending.md")
    LAYOUTS[:] = [layout, *(other for other in LAYOUTS if other.name != layout.name)]


@cache
def _register_installed() -> None:
    """Register the layouts of installed packages, once."""
    for point in entry_points(group=GROUP):
        try:
            register_layout(point.load()())
        except Exception as error:  # whatever the other package raises
            raise ImportError(
                f"entry point {point.name!r} of {GROUP}: expected a subclass of Layout, got {error}; update or remove "
                "the package that brings it"
            ) from error


def detect(folder: str | Path) -> Layout:
    """Recognise the layout of a folder.

    :param folder: the folder; for O-LoRA and SAPT ``CL_Benchmark`` or the folder that holds it.
    :raises FileNotFoundError: if it is no folder, or in no known layout; the message says what was looked for and
        what is there.
    """
    folder = Path(os.path.expanduser(folder))
    if not os.path.isdir(folder):  # unlike Path.is_dir it takes any name
        got = (
            "a file: unpack it, or give the folder around it" if os.path.exists(folder) else "not there: check the path"
        )
        raise FileNotFoundError(f"data: expected a folder with benchmark files, got {folder!s:.400}, which is {got}")
    _register_installed()
    for layout in LAYOUTS:
        if layout.matches(folder):
            return layout
    looked_for = "".join(f"\n  {layout.name}: {layout.pattern}" for layout in LAYOUTS)
    raise FileNotFoundError(
        f"data: {folder}: expected one of these layouts:{looked_for}\nfound {_listing(folder)}; give the folder that "
        "holds the splits, the tasks or CL_Benchmark"
    )


def _listing(folder: Path, limit: int = 12) -> str:
    """The entries of a folder, each folder among them with an entry of its own, for people."""
    try:
        names = [_entry(entry) for entry in sorted(folder.iterdir())]
    except OSError as error:
        return f"a folder that can't be read ({error.strerror})"
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "") if names else "an empty folder"


def _entry(entry: Path) -> str:
    if not entry.is_dir():
        return entry.name
    inside = sorted(path.name + "/" * path.is_dir() for path in entry.iterdir())
    first = f"{inside[0]}{', …' if len(inside) > 1 else ''}" if inside else "empty"
    return f"{entry.name}/ ({first})"
