"""The R matrix and what follows from it."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avalanche_aim.evaluation import (
    DEFINITIONS,
    backward_transfer,
    forgetting,
    forward_transfer,
    overall_performance,
    result_matrix,
    summary,
)
from avalanche_aim.evaluation.transfer import Matrix

METRICS = (overall_performance, backward_transfer, forgetting)
SCORE = st.floats(0, 100, width=32)
R = np.array([[60.0, 5.0, 0.0], [80.0, 90.0, 20.0], [50.0, 70.0, 85.0]])


@st.composite
def matrices(draw: st.DrawFn, smallest: int = 2) -> Matrix:
    size = draw(st.integers(smallest, 5))
    return np.array([[draw(SCORE) for _ in range(size)] for _ in range(size)])


def without_upper(r: Matrix) -> Matrix:
    """Return the matrix with nothing measured on tasks that were not trained yet."""
    return np.where(np.triu(np.ones_like(r), 1) > 0, np.nan, r)


# By hand


def test_overall_performance_is_the_mean_of_the_last_row() -> None:
    assert overall_performance(R) == (50 + 70 + 85) / 3


def test_backward_transfer_is_the_mean_change_since_each_task_was_learned() -> None:
    assert backward_transfer(R) == ((50 - 60) + (70 - 90)) / 2


def test_forgetting_is_the_mean_drop_from_the_best() -> None:
    assert forgetting(R) == ((80 - 50) + (90 - 70)) / 2


def test_backward_transfer_can_be_positive() -> None:
    assert backward_transfer(np.array([[40.0, 0.0], [70.0, 50.0]])) == 30.0
    assert forgetting(np.array([[40.0, 0.0], [70.0, 50.0]])) == 0.0


def test_forward_transfer_is_the_mean_gain_over_training_alone() -> None:
    assert forward_transfer(R, [60.0, 80.0, 90.0]) == ((60 - 60) + (90 - 80) + (85 - 90)) / 3


def test_the_summary_has_every_metric_that_is_defined() -> None:
    assert summary(R) == {"OP": 205 / 3, "BWT": -15.0, "Forgetting": 25.0}
    assert summary(R, [60.0, 80.0, 90.0]) == {**summary(R), "FWT": 5 / 3}
    assert summary(R, [60.0, 80.0, 90.0]).keys() == DEFINITIONS.keys()


def test_a_single_task_has_a_performance_and_no_transfer() -> None:
    single = np.array([[42.0]])
    assert overall_performance(single) == 42.0
    assert math.isnan(backward_transfer(single))
    assert math.isnan(forgetting(single))


# Invariants


@given(SCORE, st.integers(2, 6))
def test_a_constant_matrix_has_no_transfer_and_no_forgetting(score: float, size: int) -> None:
    constant = np.full((size, size), score)
    assert overall_performance(constant) == pytest.approx(score)
    assert backward_transfer(constant) == forgetting(constant) == 0.0


@given(matrices(), st.floats(-50, 50))
def test_adding_to_every_score_moves_performance_alone(r: Matrix, shift: float) -> None:
    assert overall_performance(r + shift) == pytest.approx(overall_performance(r) + shift)
    assert backward_transfer(r + shift) == pytest.approx(backward_transfer(r), abs=1e-9)
    assert forgetting(r + shift) == pytest.approx(forgetting(r), abs=1e-9)


@given(matrices(), st.floats(0.01, 10))
def test_any_scale_works(r: Matrix, scale: float) -> None:
    for metric in METRICS:
        assert metric(r * scale) == pytest.approx(metric(r) * scale, abs=1e-6)


@given(matrices())
def test_scores_before_a_task_is_trained_do_not_matter(r: Matrix) -> None:
    assert summary(without_upper(r)) == summary(r)


@given(matrices())
def test_forgetting_is_at_least_zero_and_at_least_the_loss_in_backward_transfer(r: Matrix) -> None:
    assert forgetting(r) >= -1e-9
    assert forgetting(r) >= -backward_transfer(r) - 1e-9


# What was not measured


def test_rows_may_be_short_or_have_gaps() -> None:
    made = result_matrix([[1.0], [None, 2.0], [3.0, 4.0, 5.0]])
    np.testing.assert_array_equal(made, [[1, np.nan, np.nan], [np.nan, 2, np.nan], [3, 4, 5]])


@pytest.mark.parametrize("rows", [[], [[1.0, 2.0]], [[1.0], [2.0, 3.0, 4.0]]])
def test_rows_that_do_not_make_a_square_are_refused(rows: list[list[float | None]]) -> None:
    with pytest.raises(ValueError, match="expected T rows of at most T scores"):
        result_matrix(rows)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("hole", [(2, 0), (2, 2)])
def test_a_hole_in_the_last_row_is_refused(metric: Callable[[Matrix], float], hole: tuple[int, int]) -> None:
    r = R.copy()
    r[hole] = np.nan
    with pytest.raises(ValueError, match=r"expected its last row.*evaluate every task after the last"):
        metric(r)


@pytest.mark.parametrize("metric", [backward_transfer, forgetting])
def test_a_hole_in_the_diagonal_is_refused_by_what_reads_it(metric: Callable[[Matrix], float]) -> None:
    r = R.copy()
    r[1, 1] = np.nan
    with pytest.raises(ValueError, match=r"expected its diagonal.*after training on it"):
        metric(r)


def test_without_a_diagonal_there_is_the_overall_performance_alone() -> None:
    r = np.full((3, 3), np.nan)
    r[2] = [30.0, 60.0, 90.0]
    assert summary(r, single=[1.0, 2.0, 3.0]) == {"OP": 60.0}


def test_a_hole_elsewhere_is_left_out_of_the_best() -> None:
    r = R.copy()
    r[1, 0] = np.nan
    assert forgetting(r) == ((60 - 50) + (90 - 70)) / 2


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shape", [(0, 0), (1, 2), (3, 2), (3,)])
def test_a_matrix_that_is_not_square_is_refused(metric: Callable[[Matrix], float], shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected a square matrix"):
        metric(np.zeros(shape))


@pytest.mark.parametrize("metric", METRICS)
def test_a_single_task_that_was_not_measured_is_refused(metric: Callable[[Matrix], float]) -> None:
    with pytest.raises(ValueError, match="to be measured"):
        metric(np.array([[np.nan]]))
