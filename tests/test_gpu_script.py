"""The script that shares a comparison out among processes on one accelerator."""

import sys
from pathlib import Path

from benchmarks.gpu import side_by_side


def test_processes_that_end_by_themselves_give_their_status(tmp_path: Path) -> None:
    assert side_by_side([sys.executable, "-c", "print('done'); raise SystemExit(3)"], 2, 60, tmp_path) == [3, 3]
    assert (tmp_path / "process_1.log").read_text() == "done\n"


def test_what_still_runs_when_time_is_up_is_asked_to_stop(tmp_path: Path) -> None:
    assert side_by_side([sys.executable, "-c", "import time; time.sleep(60)"], 2, 0.5, tmp_path) == [-15, -15]
