"""What all tests share."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep the user's cache folder out of the tests, and the tests out of it."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("AVALANCHE_AIM_CACHE", str(folder))
    return folder
