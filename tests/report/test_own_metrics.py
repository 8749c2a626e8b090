"""Metrics of a user's own, and what reading a report needs."""

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from made_up import comparison, result

from avalanche_aim.__main__ import main
from avalanche_aim.report import Quantity, quantities
from avalanche_aim.report.quantities import own_metrics

WORST = """
from avalanche_aim.report import Quantity

worst = Quantity("worst task", "%", "lowest final score", 1, lambda run: min(run.r[-1]))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_metrics.py"
    path.write_text(WORST)
    return path


def test_a_metric_of_a_file_is_in_every_format(
    file: Path, no_plots: None, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    runs = comparison(tmp_path / "runs", ("naive", "aim"), seeds=1)
    assert main(["report", str(runs), "--metrics", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "worst task" in printed and "Δ worst task" in printed
    for name in ("report.md", "report.tex", "report.csv", "report.html"):
        assert "worst task" in (runs / name).read_text(encoding="utf-8")
    assert "lowest final score" in (runs / "report.html").read_text(encoding="utf-8")


def test_a_metric_of_an_installed_package_is_in_every_report(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("op", "avalanche_aim.report.quantities:OP", quantities.GROUP)
    renamed = Quantity("mine", "", "", 1, lambda run: 1.0)
    monkeypatch.setattr(quantities, "entry_points", lambda group: [point] if group == quantities.GROUP else [])
    monkeypatch.setattr(EntryPoint, "load", lambda self: renamed)
    assert own_metrics() == [renamed]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = 1", "expected a file that defines a Quantity"),
        (WORST.replace("worst task", "BWT"), "expected a name of its own, got 'BWT'"),
        (None, "expected a Python file"),
    ],
)
def test_what_is_no_metric_is_refused(content: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=message):
        own_metrics([path])


@pytest.mark.parametrize("of", [lambda run: 1 / 0, lambda run: "high"])
def test_a_metric_that_fails_is_named_with_its_run(of: Any) -> None:
    with pytest.raises(ValueError, match="metric 'mine' of aim, order 1, seed 0: expected a number or None"):
        Quantity("mine", "", "", 1, of).value(result("aim"))


def test_a_metric_may_lack_a_value() -> None:
    assert Quantity("mine", "", "", 1, lambda run: None).value(result("aim")) is None
    assert Quantity("mine", "", "", 1, lambda run: float("nan")).value(result("aim")) is None
