"""The command line reports forward transfer when asked to."""

import json
import re
from pathlib import Path

import pytest

from avalanche_aim import standard_cl
from avalanche_aim.evaluation import DEFINITIONS
from avalanche_aim.experiments.command import compare, parser

SMALL = ["--model", "tiny", "--train-per-task", "8", "--eval-per-task", "4", "--strategies", "naive"]


def test_fwt_column_scores_and_definition(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(standard_cl, parser("", ""), [*SMALL, "--fwt", "--seeds", "0", "1", "--out", str(tmp_path)]) == 0
    table = capsys.readouterr().out
    assert re.search(r"\| +FWT \|", table) and "trained on task j alone" in table
    results = json.loads((tmp_path / "results.json").read_text())
    assert set(results["single_task"]) == {"0", "1"}
    assert set(results["single_task"]["0"]) == {"entities", "reviews", "questions", "news"}
    assert results["definitions"]["FWT"] == DEFINITIONS["FWT"]
    assert all("FWT" in run["metrics"] for run in results["runs"])


def test_without_the_flag_there_is_no_fwt(tmp_path: Path, own_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(standard_cl, parser("", ""), [*SMALL, "--out", str(tmp_path)]) == 0
    assert "FWT" not in capsys.readouterr().out
    assert json.loads((tmp_path / "results.json").read_text())["single_task"] == {}
    assert not (own_cache / "single_task").exists()
