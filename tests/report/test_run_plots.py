"""The plots that a comparison leaves beside its runs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up import result

from avalanche_aim.merging import History
from avalanche_aim.report.run_plots import draw_results

PNG = b"\x89PNG\r\n\x1a\n"


def names_of(files: list[Path]) -> list[str]:
    assert all(file.read_bytes().startswith(PNG) for file in files)
    return [file.name for file in files]


def test_plots_are_r_and_the_signals_of_each_merging_run(tmp_path: Path) -> None:
    runs = [result("naive"), result("aim"), result("aim", seed=1)]
    assert names_of(draw_results(runs, tmp_path)) == [
        "R.png", "signals_aim_order-1_seed-0.png", "signals_aim_order-1_seed-1.png"
    ]  # fmt: skip


@pytest.mark.parametrize("r", [[[80.0]], [[], [60.0, 90.0]], [[None], [60.0, 90.0]]])
def test_an_r_with_gaps_can_be_drawn(r: Any, tmp_path: Path) -> None:
    run = result("naive", r=r, tasks=["a", "b"][: len(r)], single=None)
    assert names_of(draw_results([run], tmp_path)) == ["R.png"]


def test_a_history_that_was_read_back_can_be_drawn(tmp_path: Path) -> None:
    history = result("aim").history
    assert history is not None
    lost: Any = replace(history.iterations[0], historical_loss=None)  # what is not finite comes back as None
    back = result("aim", history=History(history.merges, [lost, *history.iterations[1:]]))
    assert len(names_of(draw_results([back], tmp_path))) == 2


def test_a_run_that_monitored_nothing_has_no_signals(tmp_path: Path) -> None:
    assert names_of(draw_results([result("aim", history=History())], tmp_path)) == ["R.png"]
