"""The strategy of docs/extending.md, as a file that ``run --plugins`` reads."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import SMALL, blocks

from avalanche_aim.__main__ import main
from avalanche_aim.experiments import STRATEGIES


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Path]:
    """The block that adds a strategy, as a file."""
    (block,) = [block for block in blocks("python") if 'STRATEGIES["l2"]' in block.text]
    path = tmp_path / "l2.py"
    path.write_text(block.text, encoding="utf-8")
    yield path
    STRATEGIES.pop("l2", None)


def test_the_command_line_runs_a_strategy_of_a_file(plugin: Path, tmp_path: Path) -> None:
    words = ["run", *SMALL, "--plugins", str(plugin), "--strategies", "naive", "l2", "--out", str(tmp_path / "out")]
    assert main([*words, "--options", '{"l2": {"strength": 0.5}}', "--order", "news,reviews"]) == 0
    (path,) = (tmp_path / "out" / "runs").glob("l2_*.json")
    asked = json.loads(path.read_text(encoding="utf-8"))["asked"]
    assert asked["options"] == {"strength": 0.5}


def test_its_options_are_checked(plugin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", *SMALL, "--plugins", str(plugin), "--strategies", "l2", "--out", str(tmp_path / "out")]
    assert main([*words, "--options", '{"l2": {"power": 2}}']) == 2
    assert "options of l2: expected some of strength; got power" in capsys.readouterr().err


def test_a_plugin_that_is_no_python_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--plugins", str(tmp_path / "no.py")]) == 2
    assert "plugins: expected a Python file, got" in capsys.readouterr().err
