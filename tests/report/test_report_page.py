"""The page: self-contained, well formed, complete."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_up import comparison, result, write

from avalanche_aim.experiments import STRATEGIES, Failure
from avalanche_aim.merging import History
from avalanche_aim.report import Report
from avalanche_aim.report.page import page
from avalanche_aim.report.signal_plots import signal_plot, thinned_around_gaps
from avalanche_aim.report.stream_plots import colour
from avalanche_aim.report.svg import Scale, polyline, shorten, spanned, tag, thinned, ticks

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Checker(HTMLParser):
    """Keeps the tags, and fails where one is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []

    def handle_starttag(self, name: str, attributes: list) -> None:
        self.tags.append((name, dict(attributes)))
        if name not in VOID:
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name


def checked(markup: str) -> Checker:
    checker = Checker()
    checker.feed(markup)
    checker.close()
    assert checker.open == []
    return checker


@pytest.fixture(scope="module")
def markup(report: Report) -> str:
    return page(report)


def test_the_page_is_well_formed_and_loads_nothing(markup: str) -> None:
    tags = checked(markup).tags
    assert not {"script", "link", "img", "iframe", "object"} & {name for name, _ in tags}
    assert all(a["href"].startswith("#") for _, a in tags if "href" in a) and not any("src" in a for _, a in tags)
    assert not re.search(r"https?://|url\(|@import", markup)


def test_every_plot_says_what_it_shows(markup: str) -> None:
    plots = [a for name, a in checked(markup).tags if name == "svg" and "aria-hidden" not in a]
    assert len(plots) > 20 and all(a["role"] == "img" and len(a["aria-label"]) > 20 for a in plots)


def test_identifiers_that_links_point_at_are_there(markup: str) -> None:
    tags = checked(markup).tags
    assert {a["href"][1:] for _, a in tags if "href" in a} <= {a["id"] for _, a in tags if "id" in a}


def test_the_page_names_failures_settings_and_definitions(markup: str) -> None:
    for words in ("replay, order 1, seed 1", "out of memory &amp; &lt;more&gt;", "Traceback", "<dt>model</dt><dd>tiny",
                  "backward transfer", "revision", "<dt>Forgetting</dt>"):  # fmt: skip
        assert words in markup


def test_there_is_a_heat_map_a_strategy_and_order_and_a_plot_a_task(markup: str) -> None:
    assert markup.count("Heat map of R of ") == 5 * 2
    assert len(re.findall(r"Lines of the score on \w+, task \d", markup)) == 4 * 2
    assert markup.count('aria-label="Signals of aim, ') == 6


def test_what_was_diagnosed_stands_under_the_signals(markup: str) -> None:
    assert re.search(r"aim, order 1, seed 0: \d+ merges; stagnation was recognised at \d+ of them\.", markup)


def test_many_strategies_and_tasks_fit(tmp_path: Path) -> None:
    tasks = [f"task-{number}" for number in range(15)]
    strategies = tuple(STRATEGIES)[:12]
    markup = page(Report.read(comparison(tmp_path, strategies, 1, tasks)))
    checked(markup)
    assert markup.count("Heat map of R of ") == 2 * len(strategies) and "nan" not in re.findall(r'\bd="[^"]*"', markup)


def test_equal_zero_scores_and_a_single_task_are_drawn(tmp_path: Path) -> None:
    runs = [result(name, r=[[0.0]], tasks=["a"], single=None, history=None) for name in ("naive", "aim")]
    assert "Signals and merges" not in page(Report.read(write(tmp_path, runs)))


def test_a_comparison_of_failures_alone_is_a_page(tmp_path: Path) -> None:
    markup = page(Report.read(write(tmp_path, [Failure("aim", "1", 0, "ValueError: <no>")])))
    checked(markup)
    assert "ValueError: &lt;no&gt;" in markup and "<table" not in markup


def test_names_are_escaped_everywhere(tmp_path: Path) -> None:
    markup = page(Report.read(write(tmp_path, [result("naive", tasks=["<i>a</i>", "b&c"], r=[[1.0], [2.0, 3.0]],
                                                      single=None)])))  # fmt: skip
    checked(markup)
    assert "<i>" not in markup and "b&amp;c" in markup


def test_signals_without_merges_or_with_gaps_are_drawn() -> None:
    run = result("aim")
    assert run.history is not None
    records = run.history.to_dict()["iterations"][:9]
    gaps = [{**record, "historical_loss": None, "threshold": None} for record in records]
    run.history = History.from_dict({"merges": [], "iterations": gaps})
    drawn = signal_plot(run)
    checked(drawn)
    assert "none planned, or no merge to record it" in drawn and "nan" not in drawn


def test_ticks_are_round_and_within() -> None:
    assert ticks(0, 100) == [0, 20, 40, 60, 80, 100] and ticks(-1.0, 1.0, 4) == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert Scale(0.5, 30, 0, 100, log=True).ticks == [0.5, 1, 2, 5, 10, 20]


def test_scales_are_linear_or_logarithmic() -> None:
    assert Scale(0, 10, 100, 0)(2.5) == 75 and Scale(1, 100, 0, 10, log=True)(10) == pytest.approx(5)
    scale = spanned([7.0], 0, 10)
    assert scale.low < 7 < scale.high


def test_lines_break_at_gaps_and_keep_their_peaks_when_thinned() -> None:
    nan = float("nan")
    assert 'd="M0 1L1 2M3 4"' in polyline([(0, 1), (1, 2), (2, nan), (3, 4)]) and polyline([(0, nan)]) == ""
    points = [(float(x), 9.0 if x == 777 else 0.0) for x in range(5000)]
    few = thinned(points)
    assert len(few) <= 600 and (777.0, 9.0) in few
    assert len(thinned_around_gaps([*points, (5000.0, nan), *points])) <= 700


def test_elements_escape_their_attributes() -> None:
    assert tag("g", class_='a"b', stroke_width=1.50, x=None) == '<g class="a&quot;b" stroke-width="1.5"></g>'
    assert shorten("questions", 5) == "ques…" and shorten("news", 5) == "news"


def test_colours_go_from_dark_to_bright() -> None:
    assert (colour(0), colour(100), colour(250)) == ("#440154", "#fde725", "#fde725")
