"""Cost against OP."""

from html import escape

from .content import Report
from .palette import Look, looks
from .quantities import MINUTES, OP, Quantity
from .statistics import Spread
from .svg import Frame, Point, figure, label, spanned, tag

WIDTH, HEIGHT = 420, 370
LETTER = 7.0
"""About the width of a letter of the style sheet's 12 px text."""
PASSES = Quantity(
    "passes in all", "", "passes with and without gradient", 2,
    lambda result: result.cost.gradient_passes + result.cost.other_passes,
)  # fmt: skip
Box = tuple[float, float, float, float]


def cost_plots(report: Report) -> list[str]:
    """Return OP against minutes and against passes through the model, one point a strategy.

    :param report: its content.
    """
    return [_plot(report, MINUTES, "minutes of training and evaluation"),
            _plot(report, PASSES, "passes through the model (1: plain training)")]  # fmt: skip


def _plot(report: Report, cost: Quantity, title: str) -> str:
    points = {}
    for name in report.strategies:
        x, y = report.spread(name, cost), report.spread(name, OP)
        if x is not None and y is not None:
            points[name] = x, y
    costs = [x.mean for x, _ in points.values()]
    log = min(costs) > 0 and max(costs) > 8 * min(costs)
    ends = [y.mean + s * (y.deviation or 0.0) for _, y in points.values() for s in (-1, 1)]
    frame = Frame(spanned(costs, 48, WIDTH - 14, log), spanned(ends, HEIGHT - 44, 26))
    looked = looks(report)
    drawn = sorted(points, key=lambda name: looked[name].emphasised)  # grey ones first, and so below
    marks = "".join(_mark(frame, name, looked[name], *points[name]) for name in drawn)
    places = {name: (frame.x(x.mean), frame.y(y.mean)) for name, (x, y) in points.items()}
    axis = f"{title}, log scale" if log else title
    best = max(points, key=lambda name: points[name][1].mean)
    description = f"Scatter plot of OP against {title} for {len(points)} strategies; {best} is highest."
    return figure(description, WIDTH, HEIGHT, frame.axes(axis, "OP, %"), marks, _names(places, looked))


def _mark(frame: Frame, name: str, look: Look, cost: Spread, score: Spread) -> str:
    x, y = frame.x(cost.mean), frame.y(score.mean)
    tip = tag("title", escape(f"{name}: OP {score.mean:.1f}, cost {cost.mean:.3g}, {score.count} runs"))
    spread = score.deviation or 0.0
    ends = frame.y(score.mean - spread), frame.y(score.mean + spread)
    bar = tag("line", x1=x, x2=x, y1=ends[0], y2=ends[1], class_=f"line {look.css} thin") if spread else ""
    return bar + tag("circle", tip, cx=x, cy=y, r=5.0 if look.emphasised else 3.5, class_=f"dot {look.css}")


def _names(places: dict[str, Point], looked: dict[str, Look]) -> str:
    """A name beside each point where nothing else is; further away, with a leader, where it is crowded."""
    taken: list[Box] = [(x - 5, y - 5, x + 5, y + 5) for x, y in places.values()]
    parts = []
    for name, (x, y) in sorted(places.items(), key=lambda item: not looked[item[0]].emphasised):
        box = _free(x, y, len(name) * LETTER, taken)
        taken.append(box)
        left, middle = box[0], (box[1] + box[3]) / 2
        near = left if left > x else box[2]
        if abs(middle - y) > 14:
            parts.append(tag("line", x1=x, y1=y, x2=near, y2=middle, class_="leader"))
        parts.append(label(name, left, middle + 4, class_="name" if looked[name].emphasised else "tick"))
    return "".join(parts)


def _free(x: float, y: float, width: float, taken: list[Box]) -> Box:
    """The nearest box beside a point that is inside the plot and overlaps none that is taken."""
    shifts = sorted((k * 7.0 for k in range(-45, 46)), key=abs)
    boxes = []
    for shift in shifts:
        for left in (x + 9, x - 9 - width):
            boxes.append((left, y + shift - 7, left + width, y + shift + 7))
    inside = [b for b in boxes if b[0] >= 50 and b[2] <= WIDTH - 2 and b[1] >= 20 and b[3] <= HEIGHT - 46]
    clear = (b for b in inside if not any(_overlap(b, other) for other in taken))
    return next(clear, inside[0] if inside else boxes[0])


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
