"""Inline SVG: elements, scales and the frame of a plot. Colours and fonts are the style sheet's."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

Point = tuple[float, float]


def tag(name: str, *content: str, **attributes: Any) -> str:
    """Return an element.

    :param name: its name.
    :param content: what is inside, as markup.
    :param attributes: ``class_`` stands for class and ``stroke_width`` for stroke-width; None leaves one out.
    """
    given = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    start = name + "".join(f' {key}="{escape(_text(value))}"' for key, value in given.items())
    return f"<{start}>{''.join(content)}</{name}>"


def label(words: str, x: float, y: float, **attributes: Any) -> str:
    """Return a line of text.

    :param words: the text, not escaped yet.
    :param x: where it begins, or what ``text_anchor`` says.
    :param y: its baseline.
    :param attributes: of the element.
    """
    return tag("text", escape(words), x=x, y=y, **attributes)


def polyline(points: Sequence[Point], **attributes: Any) -> str:
    """Return a line through points; one that is not finite makes a gap.

    :param points: x and y.
    :param attributes: of the element.
    """
    parts, pen = [], "M"
    for x, y in points:
        finite = math.isfinite(x) and math.isfinite(y)
        if finite:
            parts.append(f"{pen}{_text(x)} {_text(y)}")
        pen = "L" if finite else "M"
    return tag("path", d="".join(parts), **attributes) if parts else ""


def shorten(name: str, length: int) -> str:
    """Return a name that fits, with an ellipsis where it was cut.

    :param name: any text.
    :param length: characters there is room for.
    """
    return name if len(name) <= length else f"{name[: length - 1]}…"


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return round numbers between two bounds.

    :param low: the lower bound.
    :param high: the upper one, above it.
    :param count: about how many.
    """
    raw = (high - low) / count
    power = 10 ** math.floor(math.log10(raw))
    step = power * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class Scale:
    """From numbers to places: linear, or logarithmic."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the place of a number.

        :param value: above 0 for a logarithmic scale.
        """
        low, high = self._of(self.low), self._of(self.high)
        return self.start + (self._of(value) - low) / (high - low) * (self.end - self.start)

    def _of(self, value: float) -> float:
        return math.log10(value) if self.log else value

    @property
    def ticks(self) -> list[float]:
        """Round numbers within the scale: on a logarithmic one 1, 2 and 5 times powers of ten."""
        if not self.log:
            return ticks(self.low, self.high, max(2, round(abs(self.end - self.start) / 40)))
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        marks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
        inside = [mark for mark in marks if self.low <= mark <= self.high]
        return inside if len(inside) < 8 else [mark for mark in inside if _text(mark).strip("0.") == "1"]


def spanned(values: Iterable[float], start: float, end: float, log: bool = False, margin: float = 0.08) -> Scale:
    """Return a scale that holds all values, with a margin.

    :param values: finite numbers; none at all gives 0 to 1.
    :param start: the place of the lower end.
    :param end: the place of the upper end.
    :param log: logarithmic; all values are above 0 then.
    :param margin: as a share of what they span.
    """
    numbers = list(values) or [0.0, 1.0]
    low, high = min(numbers), max(numbers)
    if log:
        factor = max(high / low, 1.5) ** margin
        return Scale(low / factor, high * factor, start, end, log=True)
    pad = (high - low) * margin or abs(high) * 0.1 or 1.0
    return Scale(low - pad, high + pad, start, end)


@dataclass(frozen=True)
class Frame:
    """The axes of a plot.

    :param x: the horizontal scale.
    :param y: the vertical one, its start below its end.
    """

    x: Scale
    y: Scale

    def axes(self, x_label: str = "", y_label: str = "", x_ticks: Sequence[float] | None = None) -> str:
        """Return grid lines, numbers and names of the axes.

        :param x_label: below; "" leaves it out.
        :param y_label: above the vertical axis.
        :param x_ticks: where to put numbers; round ones by default.
        """
        left, right, bottom, top = self.x.start, self.x.end, self.y.start, self.y.end
        parts = []
        for value in self.y.ticks:
            parts.append(tag("line", x1=left, x2=right, y1=self.y(value), y2=self.y(value), class_="grid"))
            parts.append(label(f"{value:.6g}", left - 6, self.y(value) + 4, text_anchor="end", class_="tick"))
        for value in self.x.ticks if x_ticks is None else x_ticks:
            parts.append(tag("line", x1=self.x(value), x2=self.x(value), y1=bottom, y2=bottom + 4, class_="axis"))
            parts.append(label(f"{value:.6g}", self.x(value), bottom + 17, text_anchor="middle", class_="tick"))
        parts.append(tag("line", x1=left, x2=right, y1=bottom, y2=bottom, class_="axis"))
        if x_label:
            parts.append(label(x_label, (left + right) / 2, bottom + 34, text_anchor="middle", class_="name"))
        if y_label:
            parts.append(label(y_label, left - 34, top - 9, class_="name"))
        return "".join(parts)


def figure(description: str, width: float, height: float, *content: str) -> str:
    """Return an SVG that scales to the width there is.

    :param description: what a reader who cannot see it is told.
    :param width: of its own coordinates.
    :param height: likewise.
    :param content: its elements.
    """
    return tag("svg", *content, viewBox=f"0 0 {_text(width)} {_text(height)}", role="img", aria_label=description)


def thinned(points: Sequence[Point], most: int = 600, extreme: Callable[..., Point] = max) -> list[Point]:
    """Leave out points that no screen shows: of each stretch the extreme one stays, so that peaks do.

    :param points: x and y.
    :param most: about how many stay.
    :param extreme: ``max`` or ``min``.
    """
    stretch = math.ceil(len(points) / most)
    if stretch < 2:
        return list(points)
    pieces = (points[i : i + stretch] for i in range(0, len(points), stretch))
    return [extreme(piece, key=lambda point: point[1]) for piece in pieces]


def _text(value: Any) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
