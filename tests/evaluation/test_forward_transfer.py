"""OP, BWT, FWT and forgetting on matrices worked out by hand."""

import math

import numpy as np
import pytest

from avalanche_aim.evaluation import DEFINITIONS, forward_transfer, result_matrix, summary

R = np.array([[80.0, 10.0, 5.0], [90.0, 60.0, 15.0], [70.0, 65.0, 40.0]])
SINGLE = [80.0, 50.0, 45.0]


def test_metrics_of_three_tasks() -> None:
    # OP (70 + 65 + 40) / 3; BWT (−10 + 5) / 2; FWT (0 + 10 − 5) / 3; forgetting (90 − 70 + 65 − 65) / 2
    expected = {"OP": 175 / 3, "BWT": -2.5, "FWT": 5 / 3, "Forgetting": 10.0}
    assert summary(R, SINGLE) == pytest.approx(expected)


def test_fwt_is_there_only_with_references() -> None:
    assert set(summary(R)) == {"OP", "BWT", "Forgetting"}


def test_every_metric_is_defined() -> None:
    assert set(summary(R, SINGLE)) == set(DEFINITIONS)


def test_single_task_has_a_forward_but_no_backward_transfer() -> None:
    metrics = summary(np.array([[70.0]]), [60.0])
    assert metrics["FWT"] == 10.0
    assert math.isnan(metrics["BWT"]) and math.isnan(metrics["Forgetting"])


def test_fwt_needs_no_score_above_the_diagonal() -> None:
    assert forward_transfer(result_matrix([[80.0], [90.0, 60.0]]), [70.0, 50.0]) == pytest.approx(10.0)


@pytest.mark.parametrize("single", [[], [1.0, 2.0], [1.0, 2.0, 3.0, 4.0], [[1.0, 2.0, 3.0]]])
def test_fwt_refuses_references_of_another_number_of_tasks(single: list[float]) -> None:
    with pytest.raises(ValueError, match="one score for each of the 3 tasks"):
        forward_transfer(R, single)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
def test_fwt_names_the_tasks_without_a_reference(bad: float) -> None:
    with pytest.raises(ValueError, match=r"none for tasks \[1\]"):
        forward_transfer(R, [80.0, bad, 45.0])


def test_fwt_refuses_a_diagonal_that_was_not_measured() -> None:
    with pytest.raises(ValueError, match="diagonal"):
        forward_transfer(result_matrix([[None], [90.0, 60.0]]), [70.0, 50.0])
