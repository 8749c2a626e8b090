"""General ability in a report: a column, a table of its own, and the reason where it is empty."""

from dataclasses import replace
from pathlib import Path

import pytest
from made_up import result, write

from avalanche_aim.evaluation.general import General, GeneralTask
from avalanche_aim.report import Report
from avalanche_aim.report.documents import csv_report, document
from avalanche_aim.report.finding import limits
from avalanche_aim.report.page import page
from avalanche_aim.report.results_table import results_table
from avalanche_aim.report.tables import general_tables, score_table

AFTER = {"naive": ("0100011110", "0100001110"), "aim": ("1101011110", "1100111110")}
"""Strategy → the answers at the end with seeds 0 and 1."""
MISSING = {"mmlu": "its data could not be had: no hub"}


def facts(after: str) -> GeneralTask:
    return GeneralTask("facts", "acc", [0.25], [0, 4], ["1100011110", after])


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """Return the report of two strategies and two seeds with one general task."""
    runs = [
        result(name, seed=seed, general=General([facts(after)], MISSING))
        for name, both in AFTER.items()
        for seed, after in enumerate(both)
    ]
    return Report.read(write(tmp_path, runs))


def test_the_table_has_accuracy_its_change_with_an_interval_and_what_moved(report: Report) -> None:
    (table,) = general_tables(report)
    rows = {row[0]: list(row[1:]) for row in table.rows}
    header = ["runs", "before", "after", "change", "interval", "right → wrong", "adjusted", "wrong → right", "adjusted"]
    assert table.header == ["strategy", *header]
    assert rows["naive"] == [
        *("2", "60.0 ± 0.0", "45.0 ± 7.1", "-15.0 ± 7.1", "[-20.0, -10.0]"),
        *("15.0 ± 7.1", "3.3 ± 4.7", "0.0 ± 0.0", "0.0 ± 0.0"),
    ]
    assert rows["aim"][:4] == ["2", "60.0 ± 0.0", "70.0 ± 0.0", "10.0 ± 0.0"]
    assert "10 questions" in table.note


def test_it_is_a_column_of_the_scores_and_no_part_of_op(report: Report) -> None:
    table = score_table(report)
    column = list(table.header).index("general")
    assert {row[0]: row[column] for row in table.rows} == {"naive": "45.0 ± 7.1", "aim": "70.0 ± 0.0"}
    for run in report.results:
        assert replace(run, general=None).metrics == run.metrics


def test_the_table_that_a_comparison_prints_has_the_column(report: Report) -> None:
    assert "general" in results_table(report.results)
    assert "general" not in results_table([replace(run, general=None) for run in report.results])


def test_what_was_not_measured_is_named_with_the_reason(report: Report) -> None:
    assert f"General ability was not measured on mmlu ({MISSING['mmlu']})." in limits(report)


def test_a_column_that_stays_empty_is_there_and_says_why(tmp_path: Path) -> None:
    report = Report.read(write(tmp_path, [result("naive", general=General([], MISSING))]))
    assert score_table(report).rows[0][-1] == "–"
    assert "general" in results_table(report.results)
    assert not general_tables(report)
    assert "mmlu" in document(report, "report.txt.j2")


@pytest.mark.slow
def test_the_page_has_it(report: Report) -> None:
    assert "General ability: facts" in page(report)


def test_documents_have_it(report: Report) -> None:
    assert "a lower bound" in document(report, "report.md.j2")
    assert r"right $\to$ wrong" in document(report, "report.tex.j2")
    assert "naive,facts right → wrong adjusted,%,2," in csv_report(report)
