"""What the plots of a report show."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import result
from matplotlib.figure import Figure

from avalanche_aim.evaluation.transfer import forgetting, overall_performance, result_matrix
from avalanche_aim.merging import History
from avalanche_aim.report import Report
from avalanche_aim.report.cost_plot import cost_plots, spaced
from avalanche_aim.report.signal_plots import Timeline, draw_losses, signal_plot
from avalanche_aim.report.stream_plots import forgetting_curve, heat_map, mean_curve, overview_plots, task_bars

R = [[80.0], [60.0, 90.0], [70.0, 50.0, 40.0]]


def test_the_mean_score_is_over_the_tasks_so_far() -> None:
    assert mean_curve(result_matrix(R)) == pytest.approx([80.0, 75.0, 160 / 3])


def test_forgetting_is_since_the_best_so_far() -> None:
    assert forgetting_curve(result_matrix(R)) == pytest.approx([np.nan, 20.0, 25.0], nan_ok=True)  # (10 + 40) / 2


def test_joint_training_has_its_end_alone() -> None:
    r = result_matrix([[], [60.0, 90.0]])
    assert mean_curve(r) == pytest.approx([np.nan, 75.0], nan_ok=True) and np.isnan(forgetting_curve(r)).all()


@given(st.integers(2, 6), st.randoms(use_true_random=False))
def test_curves_end_at_the_metrics_of_the_run(tasks: int, chance: Any) -> None:
    r = result_matrix([[chance.uniform(0, 100) for _ in range(i + 1)] for i in range(tasks)])
    assert mean_curve(r)[-1] == pytest.approx(overall_performance(r))
    assert forgetting_curve(r)[-1] == pytest.approx(forgetting(r))


def test_the_overview_has_a_line_for_each_strategy_and_a_point_for_each_seed(report: Report) -> None:
    figure = Figure()
    scores, lost = overview_plots(report, "1")
    scores.draw(figure)
    lines = figure.axes[0].get_lines()
    assert len(lines) == 5 + 3 * 4 + 2  # a failed run has no point
    assert "joint" in scores.description and "joint" not in lost.description  # which never forgets


def test_bars_end_at_the_mean_and_name_the_number_of_rows(report: Report) -> None:
    figure = Figure()
    task_bars(report)[0].draw(figure)
    (axis,) = figure.axes
    widths = [bar.get_width() for bar in axis.patches]  # type: ignore[attr-defined]
    assert widths == pytest.approx([np.mean(list(report.values(n, report.quantities[5]).values()))
                                    for n in report.strategies])  # fmt: skip
    assert axis.get_title() == "entities (n = 108)"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20).map(sorted))
def test_names_never_collide(wanted: list[float]) -> None:
    places = spaced(wanted, 0.05)
    assert all(later - earlier >= 0.05 - 1e-9 for earlier, later in pairwise(places))
    assert places[0] >= 0 and places[-1] <= 1 + 1e-9


def test_costs_far_apart_have_a_logarithmic_axis(report: Report) -> None:
    dear = [replace(run, cost=replace(run.cost, minutes=run.cost.minutes * 20)) if run.strategy == "aim" else run
            for run in report.results]  # fmt: skip
    assert "log scale" in cost_plots(replace(report, results=dear))[0].svg()
    assert "log scale" not in cost_plots(report)[0].svg()


def test_a_heat_map_says_each_score_and_leaves_gaps_blank() -> None:
    markup = heat_map("joint", [result("joint", r=[[], [60.0, 90.0]], tasks=["a", "b"])]).svg()
    assert ">60</text>" in markup and ">90</text>" in markup and "nan" not in markup


def losses_of(history: History) -> tuple[Any, float]:
    axis = Figure().subplots()
    draw_losses(axis, Timeline(history))
    return axis, axis.get_ylim()[1]


def test_a_far_threshold_does_not_squeeze_the_losses() -> None:
    history = result("aim").history
    assert history is not None
    far = History(history.merges, [replace(r, threshold=r.threshold and 1000.0) for r in history.iterations])
    axis, top = losses_of(far)
    assert top < 10 and "threshold up to 1e+03" in axis.texts[0].get_text()


def test_a_near_threshold_needs_no_word() -> None:
    history = result("aim").history
    assert history is not None
    near = History(history.merges, [replace(r, threshold=0.5) for r in history.iterations])
    assert not losses_of(near)[0].texts


def test_signals_say_that_a_run_never_merged_and_skip_what_is_not_a_number() -> None:
    run = result("aim")
    assert run.history is not None
    records = run.history.to_dict()["iterations"][:9]
    gaps = [{**record, "historical_loss": None, "threshold": None} for record in records]
    run.history = History.from_dict({"merges": [], "iterations": gaps})
    drawn = signal_plot(run).svg()
    assert "never merged" in drawn and "planned" not in drawn and "nan" not in drawn


def test_an_interval_is_drawn_only_where_one_is_planned() -> None:
    run = result("aim")
    assert run.history is not None
    unplanned = [replace(merge, interval=None, next_interval=None) for merge in run.history.merges]
    assert "planned" in signal_plot(run).svg()
    assert "planned" not in signal_plot(replace(run, history=History(unplanned, []))).svg()


def test_a_long_history_is_no_long_page() -> None:
    history = result("aim").history
    assert history is not None
    many = [replace(history.iterations[k % 60], experience=1, iteration=k + 1) for k in range(20_000)]
    assert len(signal_plot(result("aim", history=History([], many))).svg()) < 600_000
