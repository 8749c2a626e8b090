"""Where a result comes from."""

import json
import subprocess
from pathlib import Path

import pytest

from avalanche_aim.experiments import provenance as module
from avalanche_aim.experiments.provenance import provenance


def test_it_names_libraries_and_machine_as_plain_data() -> None:
    found = json.loads(json.dumps(provenance()))
    assert {"torch", "transformers", "peft", "avalanche-lib", "avalanche-aim"} == found["versions"].keys()
    assert found["machine"]["threads"] >= 1
    assert found["machine"]["processor"]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the module into a git repository of its own."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-C", str(tmp_path)]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        (tmp_path / "file").write_text("one")
        subprocess.run([*git, *command], check=True)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "package" / "experiments" / "provenance.py"))
    return tmp_path


def test_the_revision_is_the_commit(checkout: Path) -> None:
    assert len(provenance()["revision"]) == 40


def test_changed_files_are_told(checkout: Path) -> None:
    (checkout / "file").write_text("two")
    assert provenance()["revision"].endswith("+changes")


def test_an_installed_library_has_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "__file__", str(tmp_path / "a" / "b" / "provenance.py"))
    assert provenance()["revision"] is None
