"""The command line ``python -m avalanche_aim``."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from avalanche_aim.__main__ import main


def write(folder: Path, same: bool = False) -> Path:
    """A folder of one task; ``same`` makes dev the same rows as test."""
    for split in ("train", "dev", "test"):
        path = folder / split / "own.json"
        path.parent.mkdir(parents=True)
        start = "test" if same and split == "dev" else split
        path.write_text(json.dumps([{"input": f"{start} {n}", "output": "ab"[n % 2] * 2} for n in range(8)]))
    return folder


def test_inspect_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["inspect", str(write(tmp_path))]) == 0
    out = capsys.readouterr().out
    assert "AIMMerging layout, 1 tasks" in out and "Traps: none" in out


def test_inspect_prints_json_and_counts_tokens(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["inspect", str(write(tmp_path)), "--json", "--tokenizer", "tiny"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["tasks"][0]["splits"]["test"]["lengths"]["tokens"]["answer"][0] >= 1


def test_strict_fails_where_there_are_traps_and_only_there(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["inspect", str(write(tmp_path / "good")), "--strict"]) == 0
    bad = str(write(tmp_path / "bad", same=True))
    assert main(["inspect", bad]) == 0
    assert main(["inspect", bad, "--strict"]) == 1
    assert "dev is test" in capsys.readouterr().out


def test_a_task_that_cannot_be_read_fails_even_without_strict(tmp_path: Path) -> None:
    (write(tmp_path) / "dev/own.json").write_text("{")
    assert main(["inspect", str(tmp_path)]) == 1


def test_a_folder_that_is_none_is_an_error_without_a_traceback(capsys: pytest.CaptureFixture) -> None:
    assert main(["inspect", "no/such/folder"]) == 2
    assert "avalanche_aim inspect: data: expected a folder" in capsys.readouterr().err


def test_the_shipped_sample_passes_strict(capsys: pytest.CaptureFixture) -> None:
    assert main(["inspect", "sample", "--strict"]) == 0


def test_the_module_runs() -> None:
    done = subprocess.run([sys.executable, "-m", "avalanche_aim", "--help"], capture_output=True, text=True, check=True)
    assert "inspect" in done.stdout


def test_run_lists_the_strategies_in_its_help(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["run", "--help"])
    assert stop.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "usage: avalanche_aim run" in shown
    assert "naive, replay, ewc" in shown and "averaging" in shown


def test_run_compares_strategies(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    small = ["--model", "tiny", "--train-per-task", "8", "--eval-per-task", "4", "--order", "news,reviews"]
    assert main(["run", *small, "--strategies", "naive", "joint", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "| naive " in shown and "| joint " in shown
    assert (tmp_path / "results.json").is_file()


def test_run_tells_a_mistake_under_its_own_name(capsys: pytest.CaptureFixture) -> None:
    assert main(["run", "--model", "tiny", "--strategies", "aimm"]) == 2
    assert capsys.readouterr().err.startswith("avalanche_aim run: strategies: expected some of naive")
