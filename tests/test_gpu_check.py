"""The checks for an accelerator, which run on a CPU too."""

import json
from pathlib import Path

import pytest

from benchmarks import gpu_check


@pytest.mark.slow
def test_all_checks_hold_with_a_tiny_model(tmp_path: Path) -> None:
    out = tmp_path / "check.jsonl"
    names = ("devices", "precision", "resume", "memory", "scores", "gradient", "backbone", "cost tiny")
    status = gpu_check.main(
        ["--model", "tiny", "--large", "tiny", "--iterations", "9", "--checks", *names, "--out", str(out)]
    )
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line for line in lines if line["ok"] is False] == []
    assert status == 0
    assert {line["check"] for line in lines if line["ok"]} > {
        "devices agree",
        "precision fp16",
        "resume",
        "cost tiny aim",
    }


def test_a_check_that_fails_says_why_and_stops_nothing() -> None:
    outcome = gpu_check.attempt(lambda: {"ok": 1 / 0 > 1})
    assert outcome["ok"] is False
    assert outcome["why"] == "ZeroDivisionError: division by zero"


def test_unknown_checks_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        gpu_check.main(["--model", "tiny", "--large", "tiny", "--checks", "nothing", "--out", str(tmp_path / "x")])
    assert "expected checks of devices agree, precision bf16" in capsys.readouterr().err
