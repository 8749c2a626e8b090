"""The drawing layer: one plot as markup of a page, and as a file."""

import re
from pathlib import Path
from typing import Any

import matplotlib
import pytest

from avalanche_aim.report.drawing import Plot, mark_tasks, shorten, side_by_side, swatch, tip
from avalanche_aim.report.palette import light


def draw(figure: Any) -> None:
    axis = figure.subplots()
    tip(axis.plot([0, 1], [0, 1], "o-", color=light("blue")), 'a "tip" & <more>')
    axis.set_title("$5 & <b>")


PLOT = Plot("A line & a tip", 200, 100, draw)


def test_markup_has_the_pages_colours_and_fonts() -> None:
    markup = PLOT.svg()
    assert "var(--blue)" in markup and "var(--ink)" in markup and light("blue") not in markup
    assert "<style" not in markup and "DejaVu" not in markup
    assert 'role="img" aria-label="A line &amp; a tip"' in markup and "http" not in markup


def test_words_are_escaped_and_dollars_are_no_formulas() -> None:
    markup = PLOT.svg()
    assert "$5 &amp; &lt;b&gt;</text>" in markup
    assert '<title>a "tip" &amp; &lt;more&gt;</title>' in markup


def test_identifiers_of_two_plots_differ_and_each_reference_has_its_own() -> None:
    ids = [set(re.findall(r'\bid="([^"]*)"', PLOT.svg(prefix))) for prefix in ("a-", "b-")]
    used = set(re.findall(r'(?:href="#|url\(#)([^")]*)', PLOT.svg("a-")))
    assert ids[0] and not ids[0] & ids[1] and used <= ids[0]


def test_the_same_plot_is_the_same_markup() -> None:
    assert Plot("A line & a tip", 200, 100, draw).svg() == PLOT.svg()


@pytest.mark.parametrize(("name", "begin"), [("a.png", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.svg", b"<?xml")])
def test_the_ending_of_a_file_says_its_format(name: str, begin: bytes, tmp_path: Path) -> None:
    PLOT.save(tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(begin)


def test_the_users_own_matplotlib_is_left_as_it_was(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    PLOT.save(tmp_path / "a.png")
    PLOT.svg()
    assert dict(matplotlib.rcParams) == before


def test_plots_side_by_side_are_as_wide_as_both_and_say_what_both_say() -> None:
    both = side_by_side([PLOT, Plot("Another", 100, 150, draw)])
    assert (both.width, both.height, both.description) == (300, 150, "A line & a tip Another")
    assert both.svg().count("$5 &amp;") == 2


def test_names_of_tasks_are_as_long_as_there_is_room_for() -> None:
    def draw(figure: Any) -> None:
        axis = figure.subplots()
        axis.set_xlim(0, 100)
        mark_tasks(axis, [0, 1, 50], ["unseen", "sentiments", "sentiments"])

    markup = Plot("Tasks", 130, 100, draw).svg()
    assert "unseen" not in markup and markup.count("senti") == 2 and "…" in markup


def test_a_swatch_is_decoration() -> None:
    assert 'aria-hidden="true"' in swatch("-", "o").svg()


def test_a_name_is_cut_only_where_it_must_be() -> None:
    assert shorten("questions", 5) == "ques…" and shorten("news", 5) == "news"
