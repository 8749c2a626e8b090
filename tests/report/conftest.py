"""A made-up comparison, written once."""

from pathlib import Path

import pytest
from made_up import comparison

from avalanche_aim.report import Report


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a comparison over two orders and three seeds, one run failed, one missing."""
    return comparison(tmp_path_factory.mktemp("comparison"))


@pytest.fixture(scope="session")
def report(folder: Path) -> Report:
    """Return its report against naive."""
    return Report.read(folder)
