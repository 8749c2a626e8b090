"""Plots of finished runs."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from avalanche_aim.experiments import Result
from avalanche_aim.merging import History
from avalanche_aim.report import run_plots as plots
from avalanche_aim.report.run_plots import draw_results

ResultOf = Callable[..., Result]
PNG = b"\x89PNG\r\n\x1a\n"


def test_plots_are_r_and_the_signals_of_each_merging_run(result_of: ResultOf, merged: Result, tmp_path: Path) -> None:
    files = draw_results([result_of(), merged], tmp_path)
    assert [file.name for file in files] == ["R.png", "signals_aim_order-1_seed-0.png"]
    assert all(file.read_bytes().startswith(PNG) for file in files)


def test_r_is_drawn_for_the_first_order_and_seed_and_signals_for_all(
    result_of: ResultOf, merged: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(plots, "plot_results", lambda results, path: drawn.extend(r.strategy for r in results))
    runs = [
        result_of("naive", 3),
        replace(merged, seed=3),
        replace(merged, seed=3, order="2"),
        result_of("replay", 4),
        replace(merged, seed=4),
    ]
    names = [path.name for path in draw_results(runs, tmp_path)]
    assert drawn == ["naive", "aim"]
    ends = ("order-1_seed-3", "order-2_seed-3", "order-1_seed-4")
    assert names == ["R.png", *(f"signals_aim_{end}.png" for end in ends)]


@pytest.mark.parametrize("r", [((80.0,),), ((), (60.0, 90.0)), ((None,), (60.0, 90.0))])
def test_an_r_with_gaps_can_be_drawn(
    r: tuple[tuple[float | None, ...], ...], result_of: ResultOf, tmp_path: Path
) -> None:
    (file,) = draw_results([result_of(r=r)], tmp_path)
    assert file.read_bytes().startswith(PNG)


def test_a_history_that_was_read_back_can_be_drawn(result_of: ResultOf, history: History, tmp_path: Path) -> None:
    lost = replace(history.iterations[0], historical_loss=None)  # what is not finite comes back as None
    back = result_of("aim", history=History(history.merges, [lost, *history.iterations[1:]]))
    assert len(draw_results([back], tmp_path)) == 2


def test_a_run_that_monitored_nothing_has_no_signals(result_of: ResultOf, tmp_path: Path) -> None:
    assert [file.name for file in draw_results([result_of("aim", history=History())], tmp_path)] == ["R.png"]


def test_without_matplotlib_nothing_is_drawn(
    result_of: ResultOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert draw_results([result_of()], tmp_path) == []
    assert list(tmp_path.iterdir()) == []
