"""Tables as text, Markdown, LaTeX and CSV."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from made_up import result, write

from avalanche_aim.experiments import Failure
from avalanche_aim.report import Report
from avalanche_aim.report.documents import csv_report, latex_report, markdown_report, text_report
from avalanche_aim.report.quantities import OP
from avalanche_aim.report.table import Table, cell, html, latex, latex_escape, markdown, text

TABLE = Table("t", ["name", "a|b"], [["x_1 & co", "-1.5 ± 0.2"], ["y", "–"]])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((1.25, 0.04), "1.2 ± 0.0"),
        ((None, 1.0), "–"),
        ((-0.01,), "0.0"),
        ((3.0, None, 0, "+"), "+3"),
        ((0.0, None, 1, "+"), "0.0"),
    ],
)
def test_cells(arguments: tuple, expected: str) -> None:
    assert cell(*arguments) == expected


def test_text_is_aligned() -> None:
    assert text(TABLE).splitlines() == ["name             a|b", "────────  ──────────", "x_1 & co  -1.5 ± 0.2",
                                        "y                  –"]  # fmt: skip


def test_markdown_escapes_what_would_split_a_cell() -> None:
    lines = markdown(TABLE).splitlines()
    assert lines[0].endswith(r"a\|b |") and len({len(line) for line in lines}) == 1


def test_latex_has_booktabs_rules_escapes_and_minus_signs() -> None:
    lines = latex(TABLE).splitlines()
    assert lines[0] == r"\begin{tabular}{lr}" and lines[-1] == r"\end{tabular}"
    assert [lines[1], lines[3], lines[-2]] == [r"\toprule", r"\midrule", r"\bottomrule"]
    assert lines[4] == r"x\_1 \& co & $-$1.5 $\pm$ 0.2 \\"


def test_every_special_character_of_latex_is_escaped() -> None:
    assert latex_escape("\\{}$&#%_^~<>|") == (
        r"\textbackslash{}\{\}\$\&\#\%\_\textasciicircum{}\textasciitilde{}\textless{}\textgreater{}\textbar{}"
    )


def test_html_escapes_and_marks_headers() -> None:
    markup = html(Table("t", ["<b>", "n"], [["a&b", "-1"]]))
    assert '<th scope="col">&lt;b&gt;</th>' in markup and '<th scope="row">a&amp;b</th><td>−1</td>' in markup


def test_text_names_the_failed_run_with_its_reason(report: Report) -> None:
    printed = text_report(report)
    assert "Failed: replay, order 1, seed 1: RuntimeError: out of memory & <more>" in printed
    assert max(len(line) for line in printed.splitlines() if "─" not in line and " ± " not in line) < 170


def test_markdown_has_definitions_settings_and_machine(report: Report) -> None:
    document = markdown_report(report)
    for line in ("- BWT: backward transfer", "- model: tiny", "- processor: ", "## Differences to naive",
                 "- replay, order 1, seed 1: RuntimeError", "- score: mean over a task's examples"):  # fmt: skip
        assert line in document


def test_latex_keeps_comments_in_comments(tmp_path: Path) -> None:
    failed = Failure("naive", "1", 1, "ValueError: a\n\\bad{line}")
    document = latex_report(Report.read(write(tmp_path, [result("naive"), failed])))
    assert all(line.startswith("%") for line in document.splitlines() if "bad" in line)
    assert document.count(r"\begin{table*}") == document.count(r"\end{table*}") == 1  # nothing to compare with


def test_latex_braces_are_balanced(report: Report) -> None:
    lines = [line for line in latex_report(report).splitlines() if not line.startswith("%")]
    bare = "\n".join(lines).replace(r"\{", "").replace(r"\}", "")
    assert bare.count("{") == bare.count("}") and "±" not in bare and "−" not in bare


def test_csv_comes_back_as_it_was(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_report(report))))
    (aim,) = [row for row in rows if (row["strategy"], row["quantity"]) == ("aim", "OP")]
    difference = report.difference("aim", OP)
    assert difference is not None and difference.interval is not None
    assert float(aim["mean"]) == report.spread("aim", OP).mean  # type: ignore[union-attr]
    assert (float(aim["ci_low"]), float(aim["ci_high"])) == difference.interval
    assert (aim["baseline"], aim["pairs"], aim["runs"]) == ("naive", "6", "6")
    (naive,) = [row for row in rows if (row["strategy"], row["quantity"]) == ("naive", "OP")]
    assert naive["baseline"] == naive["difference"] == ""
    assert not [row for row in rows if (row["strategy"], row["quantity"]) == ("joint", "BWT")]


def test_csv_has_one_row_a_strategy_and_quantity(report: Report) -> None:
    keys = [(row["strategy"], row["quantity"]) for row in csv.DictReader(io.StringIO(csv_report(report)))]
    assert len(keys) == len(set(keys)) and ("aim", "score of news") in keys and ("naive", "peak MiB") in keys


def test_unknown_memory_and_a_single_task_leave_dashes(tmp_path: Path) -> None:
    run = result("naive", r=[[80.0]], tasks=["a"], single=None, label_accuracy=[])
    run = replace(run, cost=replace(run.cost, peak_memory_mb=None))
    printed = text_report(Report.read(write(tmp_path, [run, result("aim")])))
    naive = next(line for line in printed.splitlines() if line.startswith("naive  "))
    assert naive.split()[:5] == ["naive", "1", "80.0", "–", "–"] and naive.count("–") >= 5
