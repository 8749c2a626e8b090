"""What the tests of where models come from share: a hub that answers or does not, and nothing else outside."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from avalanche_aim.text.model import sources


@pytest.fixture
def own_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep a test from the real caches, hub and PyPI."""
    monkeypatch.setattr(sources.hub, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(sources.hub, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("AVALANCHE_AIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.chdir(tmp_path)
    sources._tell.cache_clear()


def patch_hub(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[tuple[str, float]]:
    """Let the hub give this answer; return the list of requests it will get."""
    requests = []

    def head(url: str, timeout: float) -> Any:
        requests.append((url, timeout))
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(sources, "get_hf_file_metadata", head)
    return requests


@pytest.fixture
def hub_down(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    return patch_hub(monkeypatch, OSError("no route to host"))


@pytest.fixture
def hub_up(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    return patch_hub(monkeypatch, SimpleNamespace(commit_hash="abc"))
