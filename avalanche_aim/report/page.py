"""A report as one HTML page: no script, nothing loaded from elsewhere."""

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files

from ..experiments.result import Failure, Result
from .content import Report
from .cost_plot import cost_plots
from .documents import definitions
from .finding import finding, limits
from .origins import provenance, run_name, settings
from .palette import looks
from .signal_plots import signal_plot
from .stream_plots import NUMBERED, heat_maps, scale_bar, task_plots
from .svg import tag
from .table import html
from .tables import tables, task_table

SIGNALS = {
    "training": "training loss", "historical": "historical loss", "threshold": "forgetting threshold",
    "active": "activation", "learning": "learning signal Λ", "interval": "planned interval", "merge": "merge",
}  # fmt: skip


def page(report: Report) -> str:
    """Return the page.

    :param report: its content.
    """
    asked = settings(report.origins)
    title = f"Comparison on {asked.get('benchmark', 'a benchmark')}"
    sections = {"scores": _scores(report), "cost": _cost(report), "stream": _stream(report), "r": _matrices(report),
                "signals": _signals(report), "failures": _failures(report.failures)}  # fmt: skip
    sections["settings"] = f"<h2>Settings and provenance</h2>{_listed(asked)}<h3>Where it ran</h3>" + _listed(
        provenance(report.origins)
    )
    sections["definitions"] = f"<h2>Definitions</h2>{_listed(definitions(report))}"
    shown = {name: content for name, content in sections.items() if content}
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    return "\n".join([
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>\n<style>\n{style}</style></head>\n<body>",
        _header(report, title, asked, shown),
        "<main>",
        *(f'<section id="{name}">{content}</section>' for name, content in shown.items()),
        "</main>\n<footer>Written by avalanche-aim from the runs on disk. This page loads nothing else.</footer>",
        "</body></html>\n",
    ])  # fmt: skip


def _header(report: Report, title: str, asked: Mapping[str, str], sections: Mapping[str, str]) -> str:
    about = (f"{asked.get('model', 'model unknown')}, {_several('order', asked['orders'])}, "
             f"{_several('seed', asked['seeds'])}; {len(report.strategies)} strategies, "
             f"{len(report.results)} finished runs, {asked.get('stream', 'test')} data")  # fmt: skip
    held = "".join(f"<li>{escape(line)}</li>" for line in limits(report))
    links = "".join(f'<a href="#{name}">{name.capitalize()}</a>' for name in sections)
    return (f'<header><h1>{escape(title)}</h1><p class="about">{escape(about)}</p>'
            f'<p class="finding">{escape(finding(report))}</p>' + (f'<ul class="limits">{held}</ul>' if held else "")
            + f'<nav aria-label="Sections">{links}</nav></header>')  # fmt: skip


def _scores(report: Report) -> str:
    if not report.results:
        return ""
    shown = [*tables(report), task_table(report)]
    return "".join(f'<h2>{escape(t.title)}</h2>{html(t)}<p class="note">{escape(t.note)}</p>' for t in shown)


def _cost(report: Report) -> str:
    if not report.results:
        return ""
    caption = ("Each point is a strategy: its mean OP, with a bar of one standard deviation, against what a run cost. "
               "Up and to the left is better. The table above has the numbers.")  # fmt: skip
    return "<h2>Cost against OP</h2>" + _figure(f'<div class="grid-2">{"".join(cost_plots(report))}</div>', caption)


def _stream(report: Report) -> str:
    caption = (
        "Score in percent of each task, from when it was trained on, after each task of the stream (horizontal), mean "
        "over seeds. A falling line is forgetting. All panels share one scale. Colours mark the baseline, AIM and the "
        "highest mean OP; grey lines are the other strategies. A strategy trained on the whole stream at once is a "
        "single point."
    )
    views = {order: f'<div class="panels">{"".join(task_plots(report, order))}</div>' for order in report.orders}
    return _by_order("Each task over the stream", _legend(report), views, caption)


def _matrices(report: Report) -> str:
    caption = ("R, mean over seeds: row i after training on task i, column j evaluated on task j, in percent. Tasks "
               "are numbered as the order has them. What is blank was not measured.")  # fmt: skip
    size = "maps" if len(report.tasks) <= NUMBERED else "maps large"
    views = {order: f'<div class="{size}">{"".join(heat_maps(report, order))}</div>' for order in report.orders}
    return _by_order("R matrices", f'<div class="bar">{scale_bar()}</div>', views, caption)


def _by_order(title: str, legend: str, views: Mapping[str, str], caption: str) -> str:
    """The first order in the open, the others folded."""
    if not views:
        return ""
    (first, view), *others = views.items()
    heading = f"{title}, order {first}" if others else title
    folded = "".join(_folded(f"Order {order}", f"<figure>{v}</figure>") for order, v in others)
    return f"<h2>{escape(heading)}</h2>{legend}{_figure(view, caption)}{folded}"


def _signals(report: Report) -> str:
    runs = [run for name in report.strategies for run in report.runs(name) if run.history and run.history.iterations]
    if not runs:
        return ""
    first: dict[str, Result] = {}
    for run in runs:
        first.setdefault(run.strategy, run)
    caption = (
        "From top to bottom, over the iterations of all tasks with a memory: training and historical loss with the "
        "forgetting threshold, and a dot where the historical loss counted as an activation; activations since the "
        "previous merge; the learning signal at each merge; and the planned interval. Vertical lines are merges, "
        "dotted where a merge was given up."
    )
    legend = "".join(f"<li>{_swatch(css)}{name}</li>" for css, name in SIGNALS.items())
    content = f'<h2>Signals and merges</h2><ul class="legend">{legend}</ul><p class="note">{caption}</p>'
    for name, shown in first.items():
        others = [run for run in runs if run.strategy == name and run is not shown]
        content += _signal_figure(shown)
        if others:
            content += _folded(f"{len(others)} more of {name}", "".join(map(_signal_figure, others)))
    return content


def _signal_figure(run: Result) -> str:
    assert run.history is not None  # callers choose such runs
    merges = "1 merge" if run.merges == 1 else f"{run.merges} merges"
    diagnosed = Counter(name for merge in run.history.merges for name in merge.diagnosis.split("+") if name)
    found = "".join(f"; {name} was recognised at {times} of them" for name, times in diagnosed.items())
    return _figure(f'<div class="wide">{signal_plot(run)}</div>', f"{run_name(run)}: {merges}{found}.")


def _failures(failed: Sequence[Failure]) -> str:
    if not failed:
        return ""
    entries = []
    for failure in failed:
        details = _folded("Where it happened", f"<pre>{escape(failure.details)}</pre>") if failure.details else ""
        entries.append(f"<dt>{escape(run_name(failure))}</dt><dd>{escape(failure.error)}{details}</dd>")
    return f"<h2>Failed runs</h2><dl>{''.join(entries)}</dl>"


def _legend(report: Report) -> str:
    looked = looks(report)
    entries = [f"<li>{_swatch(look.css, look.dashes)}{escape(name)}</li>" for name, look in looked.items()
               if look.emphasised]  # fmt: skip
    rest = [name for name, look in looked.items() if not look.emphasised]
    if rest:
        entries.append(f"<li>{_swatch('other')}{escape(', '.join(rest))}</li>")
    return f'<ul class="legend">{"".join(entries)}</ul>'


def _swatch(css: str, dashes: str | None = None) -> str:
    drawn = css if css == "merge" else f"line {css}"
    line = tag("line", x1=1, x2=29, y1=6, y2=6, class_=drawn, stroke_dasharray=dashes)
    if css == "active":
        line = tag("circle", cx=15, cy=6, r=3.5, class_="dot active")
    if css == "merge":
        line = tag("line", x1=15, x2=15, y1=0, y2=12, class_="merge")
    return tag("svg", line, viewBox="0 0 30 12", aria_hidden="true")


def _figure(content: str, caption: str) -> str:
    return f"<figure>{content}<figcaption>{escape(caption)}</figcaption></figure>"


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def _several(noun: str, values: str) -> str:
    return f"{noun}s {values}" if ", " in values else f"{noun} {values}"


def _listed(lines: Mapping[str, str]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(k)}</dt><dd>{escape(v)}</dd>' for k, v in lines.items())}</dl>"
