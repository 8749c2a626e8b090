"""A made-up comparison, written once."""

from pathlib import Path

import pytest
from made_up import comparison

from avalanche_aim.report import Report
from avalanche_aim.report.drawing import Plot


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a comparison over two orders and three seeds, one run failed, one missing."""
    return comparison(tmp_path_factory.mktemp("comparison"))


@pytest.fixture(scope="session")
def report(folder: Path) -> Report:
    """Return its report against naive."""
    return Report.read(folder)


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the plots out of pages, which take most of their time."""
    monkeypatch.setattr(Plot, "svg", lambda plot, prefix="": f"<svg aria-label='{plot.description}'></svg>")
