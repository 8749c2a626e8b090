"""The one way to draw: matplotlib figures as SVG for a page with a light and a dark mode, or as PNG or PDF files."""

import io
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..storage.files import write_atomically
from .palette import COLOURS, light

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TIP = "tip:"
"""How a group id begins whose rest is shown where a pointer rests."""
_INK, _MUTED, _RULE = map(light, ("ink", "muted", "rule"))
STYLE: dict[str, Any] = {
    "font.size": 11, "axes.titlesize": 12, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "text.color": _INK, "axes.labelcolor": _INK, "axes.titlecolor": _INK, "axes.edgecolor": _MUTED,
    "xtick.color": _MUTED, "ytick.color": _MUTED, "xtick.labelcolor": _MUTED, "ytick.labelcolor": _MUTED,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": _RULE, "grid.linewidth": 0.8, "lines.linewidth": 1.6, "lines.markersize": 5,
    "legend.frameon": False, "path.simplify_threshold": 1.0, "svg.fonttype": "none",
    "text.parse_math": False, "svg.hashsalt": "avalanche-aim",
}  # fmt: skip
_VARIABLES = {values[0]: f"var(--{name})" for name, values in COLOURS.items()}


@dataclass(frozen=True)
class Plot:
    """A plot that is drawn when it is asked for.

    :param description: what it shows, for a reader who cannot see it.
    :param width: in pixels.
    :param height: likewise.
    :param draw: draws it on a figure, or on a part of one.
    """

    description: str
    width: float
    height: float
    draw: Callable[[Any], None]

    def svg(self, prefix: str = "") -> str:
        """Return it as markup for a page that defines the variables of :data:`COLOURS`.

        :param prefix: of its identifiers; another for each plot of a page.
        """
        return _inline(self._markup, self.description, prefix)

    def save(self, path: Path) -> None:
        """Write it, whole or not at all.

        :param path: the file; its ending (.png, .pdf, .svg) says the format.
        """
        content = io.BytesIO()
        with self._figure("white") as figure:
            figure.savefig(content, format=path.suffix[1:], dpi=144)
        write_atomically(path, content.getvalue())

    @cached_property
    def _markup(self) -> str:
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        content = io.StringIO()
        with self._figure("none") as figure:
            FigureCanvasSVG(figure).print_svg(content, metadata={"Date": None})  # draws once, savefig twice
        return content.getvalue()

    @contextmanager
    def _figure(self, background: str) -> Iterator["Figure"]:
        """The figure, drawn, with the style that must still hold when it is written."""
        import matplotlib
        from matplotlib.figure import Figure

        style = {**STYLE, "figure.facecolor": background, "axes.facecolor": background}
        with matplotlib.rc_context(style), warnings.catch_warnings():  # type: ignore[arg-type]  # typed by their names
            warnings.filterwarnings("ignore", "Glyph .* missing")  # a page has the reader's fonts
            figure = Figure(figsize=(self.width / 72, self.height / 72), layout="constrained")
            self.draw(figure)
            yield figure


def side_by_side(plots: Sequence[Plot]) -> Plot:
    """Return one plot of several in a row."""

    def draw(figure: Any) -> None:
        parts = figure.subfigures(1, len(plots), squeeze=False, width_ratios=[plot.width for plot in plots])[0]
        for part, plot in zip(parts, plots, strict=True):
            plot.draw(part)

    description = " ".join(plot.description for plot in plots)
    return Plot(description, sum(plot.width for plot in plots), max(plot.height for plot in plots), draw)


def swatch(line: str = "", marker: str = "", colour: str = "ink", width: float = 1.6) -> Plot:
    """Return a line of a legend.

    :param line: its style as matplotlib has it ("-", "--"), or "" for none; "|" is upright.
    """

    def draw(figure: Any) -> None:
        axis = figure.add_axes((0, 0, 1, 1))
        axis.set_axis_off()
        xy = ([0, 0], [-2, 2]) if line == "|" else ([-0.9, 0, 0.9], [0, 0, 0])
        style = "-" if line == "|" else line or "none"
        axis.plot(*xy, linestyle=style, color=light(colour), lw=width, marker=marker, markevery=[1], ms=6)
        axis.set(xlim=(-1, 1), ylim=(-1, 1))

    return Plot("", 30, 14, draw)


def tip(artists: Iterable[Any], words: str) -> None:
    """Show words where a pointer rests on any of these."""
    for artist in artists:
        artist.set_gid(TIP + words)


def mark_tasks(axis: "Axes", places: Sequence[float], names: Sequence[str]) -> None:
    """Draw where tasks begin, each name as long as there is room for.

    :param axis: whose limits are set.
    """
    low, high = axis.get_xlim()
    width = axis.figure.bbox.width / axis.figure.dpi * 72
    for place, end, name in zip(places, [*places[1:], high], names, strict=True):
        axis.axvline(place, color=_MUTED, lw=1, ls=":")
        room = int((end - place) / (high - low) * width / 7.5)
        if room > 1:
            axis.annotate(shorten(name, room), (place, 1), xycoords=("data", "axes fraction"), xytext=(3, 4),
                          textcoords="offset points", weight="bold")  # fmt: skip


def shorten(name: str, length: int) -> str:
    """Return a name that fits, with an ellipsis where it was cut."""
    return name if len(name) <= length else f"{name[: length - 1]}…"


def _inline(markup: str, description: str, prefix: str) -> str:
    """Make a part of a page of matplotlib's file: its colours variables, its fonts the page's, its ids unique."""
    width, height = (float(size) for size in re.findall(r'viewBox="0 0 (\S+) (\S+)"', markup)[0])
    body = markup[markup.index("</style>") : markup.rindex("</svg>")].partition("</defs>")[2]

    def adapted(tag: re.Match[str]) -> str:
        words = re.sub(rf"(?s)<g id=([\"']){TIP}(.*?)\1(.*)", r"<g\3<title>\2</title>", tag[0])
        words = re.sub(r'<g id="[^"]*"', "<g", words)
        words = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}", words)
        words = re.sub(r"#[0-9a-f]{6}\b", lambda found: _VARIABLES.get(found[0], found[0]), words)
        words = re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", words)
        return re.sub(r"font-family: [^;\"]*; |(?<=px) '[^;\"]*", "", words)

    body = re.sub(r"<[^>]*>", adapted, re.sub(r"\s+(?=<)", "", body))
    said = f'role="img" aria-label="{escape(description)}"' if description else 'aria-hidden="true"'
    return f'<svg viewBox="0 0 {width:g} {height:g}" style="max-width: {width * 1.3:.0f}px" {said}>{body}</svg>'
