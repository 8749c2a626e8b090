"""The page: self-contained, well formed, complete."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from made_up import comparison, result, write

from avalanche_aim.experiments import STRATEGIES, Failure
from avalanche_aim.merging import History
from avalanche_aim.report import Report, write_report
from avalanche_aim.report.page import page

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

    def handle_startendtag(self, name: str, attributes: list) -> None:
        self.tags.append((name, dict(attributes)))

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name


def checked(markup: str) -> list[tuple[str, dict]]:
    checker = Checker()
    checker.feed(markup)
    checker.close()
    assert checker.open == []
    return checker.tags


@pytest.fixture(scope="module")
def markup(report: Report) -> str:
    return page(report)


@pytest.fixture(scope="module")
def tags(markup: str) -> list[tuple[str, dict]]:
    return checked(markup)


def test_the_page_loads_nothing(markup: str, tags: list) -> None:
    assert not {"script", "link", "img", "iframe", "object"} & {name for name, _ in tags}
    assert not any("src" in attributes for _, attributes in tags)
    assert not re.search(r"https?://|url\([^#]|@import", markup)
    assert all(a["xlink:href"].startswith(("#", "data:image/png")) for _, a in tags if "xlink:href" in a)


def test_every_plot_says_what_it_shows(tags: list) -> None:
    plots = [a for name, a in tags if name == "svg" and "aria-hidden" not in a]
    assert len(plots) > 30 and all(a["role"] == "img" and len(a["aria-label"]) > 20 for a in plots)


def test_identifiers_are_unique_and_those_that_links_point_at_are_there(tags: list) -> None:
    ids = [a["id"] for _, a in tags if "id" in a]
    links = {a[name][1:] for _, a in tags for name in ("href", "xlink:href") if a.get(name, "").startswith("#")}
    assert len(ids) == len(set(ids)) and links <= set(ids)


def test_every_colour_that_is_used_is_defined_for_light_and_dark(markup: str) -> None:
    used, defined = (re.findall(pattern, markup) for pattern in (r"var\(--(\w+)\)", r"--(\w+): #"))
    assert set(used) <= set(defined) and all(defined.count(name) == 2 for name in set(used))


def test_links_lead_to_the_files_that_are_there(no_plots: None, tmp_path: Path) -> None:
    runs, out = comparison(tmp_path / "my runs", ("naive", "aim"), seeds=1), tmp_path / "out"
    write_report(runs, ["csv", "html"], out=out)
    found = checked((out / "report.html").read_text(encoding="utf-8"))
    links = [unquote(a["href"]) for name, a in found if name == "a" and not a["href"].startswith("#")]
    assert {"report.csv", "../my runs/runs/R_naive_order-1_seed-0.csv",
            "../my runs/runs/history_aim_order-2_seed-0_merges.csv"} <= set(links)  # fmt: skip
    assert all((out / link).is_file() for link in links)


def test_the_page_names_failures_settings_and_definitions(markup: str) -> None:
    for words in ("replay, order 1, seed 1", "out of memory &amp; &lt;more&gt;", "Traceback", "<dt>model</dt><dd>tiny",
                  "backward transfer", "revision", "<dt>Forgetting</dt>"):  # fmt: skip
        assert words in markup


def test_the_plots_of_each_order_task_and_merging_run_are_there(markup: str) -> None:
    assert markup.count("Heat map of R of ") == 5 * 2
    assert len(re.findall(r"Lines of the score on \w+, task \d", markup)) == 4 * 2
    assert len(re.findall(r"Bars of the final score on \w+", markup)) == 4
    assert markup.count('aria-label="Forgetting of the tasks so far') == 2
    assert markup.count('aria-label="Signals of aim, ') == 6


def test_a_strategy_has_the_same_swatch_in_every_table(markup: str) -> None:
    rows = re.findall(r'<th scope="row"><span class="swatch">((?:(?!</span>).)*)</span>aim</th>', markup, re.DOTALL)
    assert len(rows) == 4 and len({re.sub(r"p\d+-", "", row) for row in rows}) == 1
    assert "var(--vermilion)" in rows[0]


def test_what_was_diagnosed_stands_under_the_signals(markup: str) -> None:
    assert re.search(r"aim, order 1, seed 0: \d+ merges; stagnation was recognised at \d+ of them\.", markup)


def test_a_run_that_never_merged_says_so(no_plots: None, tmp_path: Path) -> None:
    history = result("aim").history
    assert history is not None
    quiet = History([], history.iterations, ["nothing was merged in experience 1"])
    runs = [result("naive"), result("aim", history=History()), result("aim", seed=1, history=quiet)]
    markup = page(Report.read(write(tmp_path, runs)))
    assert "aim, order 1, seed 0: never merged; nothing was monitored" in markup
    said = "It warned: nothing was merged in experience 1."
    assert f"aim, order 1, seed 1: never merged, so the weights are those of training alone. {said}" in markup


def test_wide_tables_are_marked_for_narrow_screens(tags: list) -> None:
    kinds = [a["class"] for name, a in tags if name == "div" and "scroll" in a.get("class", "")]
    assert kinds.count("scroll many") == 4


@pytest.mark.slow
def test_many_strategies_and_tasks_fit(tmp_path: Path) -> None:
    tasks = [f"task-{number}" for number in range(9)]
    runs = [result(name, tasks=tasks, history=None) for name in tuple(STRATEGIES)[:10]]
    markup = page(Report.read(write(tmp_path, runs)))
    checked(markup)
    assert markup.count("Heat map of R of ") == 10 and "nan" not in re.findall(r'\bd="[^"]*"', markup)


def test_equal_zero_scores_and_a_single_task_are_drawn(tmp_path: Path) -> None:
    runs = [result(name, r=[[0.0]], tasks=["a"], single=None, history=None) for name in ("naive", "aim")]
    assert "Signals and merges" not in page(Report.read(write(tmp_path, runs)))


def test_a_comparison_of_failures_alone_is_a_page(tmp_path: Path) -> None:
    markup = page(Report.read(write(tmp_path, [Failure("aim", "1", 0, "ValueError: <no>")])))
    checked(markup)
    assert "ValueError: &lt;no&gt;" in markup and "<table" not in markup


def test_names_are_escaped_everywhere(tmp_path: Path) -> None:
    run = result("naive", tasks=["<i>a</i>", "b&$c$"], r=[[1.0], [2.0, 3.0]], single=None)
    markup = page(Report.read(write(tmp_path, [run])))
    checked(markup)
    assert "<i>" not in markup and "b&amp;$c$" in markup
