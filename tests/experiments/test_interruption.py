"""A comparison in a process that is killed goes on where it was, to the results of one that was not."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from forked import command, forked

from avalanche_aim.__main__ import main

STRATEGIES = ("naive", "replay", "fixed-interval", "der")
ARGUMENTS = [
    *("run", "--model", "tiny", "--precision", "fp32", "--device", "cpu", "--order", "news,reviews"),
    *("--train-per-task", "16", "--eval-per-task", "4", "--batch-size", "4", "--memory", "4"),
    *("--strategies", *STRATEGIES, "--options", '{"fixed-interval": {"interval": 2}}'),
]


def finished(folder: Path) -> set[str]:
    names = {path.name for path in (folder / "runs").glob("*.json")}
    return {name.split("_order-")[0] for name in names if not name.startswith("history_")}


def measured(folder: Path) -> dict[str, Any]:
    """Everything of the results but the cost, and the histories."""
    runs = json.loads((folder / "results.json").read_text(encoding="utf-8"))["runs"]
    results = {run["strategy"]: {key: value for key, value in run.items() if key != "cost"} for run in runs}
    histories = {path.name: path.read_text() for path in (folder / "runs").glob("history_*")}
    tables = {path.name: path.read_text() for path in (folder / "runs").glob("R_*.csv")}
    return {**results, **histories, **tables}


@pytest.mark.slow
def test_a_killed_comparison_goes_on_to_the_results_of_an_undisturbed_one(tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = forked(command, tmp_path / "log", {}, [*ARGUMENTS, "--out", str(killed)])
    deadline = time.monotonic() + 120
    while not finished(killed) and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.join()
    before = {path: path.read_bytes() for path in (killed / "runs").glob("naive_*.json")}
    assert {"naive"} <= finished(killed) < set(STRATEGIES)
    assert not (killed / "results.json").exists()

    # The same command, in this process.
    assert main([*ARGUMENTS, "--out", str(killed)]) == 0
    assert {path: path.read_bytes() for path in before} == before
    assert main([*ARGUMENTS, "--out", str(whole)]) == 0
    assert measured(killed) == measured(whole)
    assert len(measured(whole)) == len(STRATEGIES) * 2 + 3
