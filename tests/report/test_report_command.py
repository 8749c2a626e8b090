"""The command ``report``."""

from pathlib import Path

import pytest
from made_up import comparison

from avalanche_aim.__main__ import main


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return comparison(tmp_path / "comparison", ("naive", "aim"), seeds=1)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("report.*")}


def test_all_formats_are_written_beside_the_runs_and_the_table_is_printed(
    runs: Path, no_plots: None, capsys: pytest.CaptureFixture
) -> None:
    assert main(["report", str(runs)]) == 0
    assert files(runs) == {"report.md", "report.tex", "report.csv", "report.html"}
    printed = capsys.readouterr().out
    assert "Scores of each strategy" in printed and "report.html" in printed


def test_formats_baseline_and_folder_can_be_chosen(runs: Path, no_plots: None, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["report", str(runs), "--format", "csv", "html", "--baseline", "aim", "--out", str(out)]) == 0
    assert files(runs) == set() and files(out) == {"report.csv", "report.html"}
    assert "Differences to aim" in (out / "report.html").read_text(encoding="utf-8")


def test_text_alone_writes_nothing(runs: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["report", str(runs), "--format", "text"]) == 0
    assert files(runs) == set() and "Written" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"), [((), "found no runs"), (("--baseline", "lwf"), "baseline: expected")]
)
def test_what_cannot_be_reported_is_said_without_a_traceback(
    runs: Path, tmp_path: Path, arguments: tuple, message: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(["report", str(runs if arguments else tmp_path), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_second_report_is_the_same(tmp_path: Path) -> None:
    runs = comparison(tmp_path / "comparison", ("aim",), seeds=1, tasks=("entities", "news"))
    pages = []
    for _ in range(2):
        main(["report", str(runs), "--format", "html"])
        pages.append((runs / "report.html").read_bytes())
    assert pages[0] == pages[1]
