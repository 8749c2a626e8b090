"""Tables as text, Markdown, LaTeX and CSV."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from made_up import result, write

from avalanche_aim.experiments import Failure
from avalanche_aim.report import Report
from avalanche_aim.report.documents import csv_report, document, latex_escape
from avalanche_aim.report.quantities import OP
from avalanche_aim.report.tables import Table, cell, markdown


def document_as(kind: str, report: Report) -> str:
    return document(report, f"report.{kind}.j2")


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


def test_markdown_escapes_what_would_split_a_cell() -> None:
    lines = markdown(TABLE).splitlines()
    assert lines[0].endswith(r"a\|b |") and len({len(line) for line in lines}) == 1


def test_latex_has_booktabs_rules_escapes_and_minus_signs(report: Report) -> None:
    lines = document(replace(report, baseline="aim-replay"), "report.tex.j2").splitlines()
    assert lines.count(r"\toprule") == lines.count(r"\midrule") == lines.count(r"\bottomrule") == 3
    assert [line for line in lines if line.startswith(r"naive & 6 & $-$")]  # a difference
    assert "score on task j after training on task i" in "".join(lines) and r"R[i][j]" in "".join(lines)


def test_every_special_character_of_latex_is_escaped() -> None:
    assert latex_escape("\\{}$&#%_^~<>|") == (
        r"\textbackslash{}\{\}\$\&\#\%\_\textasciicircum{}\textasciitilde{}\textless{}\textgreater{}\textbar{}"
    )


def test_text_names_the_failed_run_with_its_reason(report: Report) -> None:
    printed = document_as("txt", report)
    assert "Failed: replay, order 1, seed 1: RuntimeError: out of memory & <more>" in printed
    assert max(len(line) for line in printed.splitlines() if not line.startswith("|")) < 170


def test_markdown_has_definitions_settings_and_machine(report: Report) -> None:
    document = document_as("md", report)
    for line in ("- BWT: backward transfer", "- model: tiny", "- processor: ", "## Differences to naive",
                 "- replay, order 1, seed 1: RuntimeError", "- score: mean over a task's examples"):  # fmt: skip
        assert line in document


def test_latex_keeps_comments_in_comments(tmp_path: Path) -> None:
    failed = Failure("naive", "1", 1, "ValueError: a\n\\bad{line}")
    document = document_as("tex", Report.read(write(tmp_path, [result("naive"), failed])))
    assert all(line.startswith("%") for line in document.splitlines() if "bad" in line)
    assert document.count(r"\begin{table*}") == document.count(r"\end{table*}") == 2  # nothing to compare with


def test_latex_braces_are_balanced(report: Report) -> None:
    lines = [line for line in document_as("tex", report).splitlines() if not line.startswith("%")]
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
    printed = document_as("txt", Report.read(write(tmp_path, [run, result("aim")])))
    naive = next(line for line in printed.splitlines() if line.startswith("| naive "))
    assert naive.replace("|", "").split()[:5] == ["naive", "1", "80.0", "–", "–"]
