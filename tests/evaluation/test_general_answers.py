"""Accuracy on general questions, and what moved from right to wrong and back, with guessing taken out."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from avalanche_aim.evaluation.general import General, GeneralTask, answers


def task(*right: str, chance: float = 0.25, **changes: Any) -> GeneralTask:
    values = {"after": list(range(len(right))), "right": list(right), "chance": [chance], **changes}
    return GeneralTask("facts", "acc", **values)


def test_accuracy_is_the_share_of_right_answers_in_percent() -> None:
    measured = task("1100", "1101", "0100")
    assert [measured.accuracy(number) for number in (0, 1, -1)] == [50.0, 75.0, 25.0]
    assert measured.change == -25.0
    assert measured.guessed == 25.0


def test_what_moved_counts_single_questions_between_the_first_and_the_last_measurement() -> None:
    measured = task("1100", "1111", "0110")
    assert (measured.moved("1", "0", adjusted=False), measured.moved("0", "1", adjusted=False)) == (25.0, 25.0)


def test_a_third_of_a_question_of_four_options_that_is_wrong_both_times_moved_by_chance() -> None:
    measured = task("1110000000", "0001000000")  # six of ten wrong both times
    assert measured.moved("1", "0") == pytest.approx(30.0 - 60.0 / 3)
    assert measured.moved("0", "1") == 0.0  # 10 - 20, and 0 at least


def test_each_question_has_its_own_chance() -> None:
    measured = replace(task("1000", "0001"), chance=[0.25, 0.5, 0.2, 0.0])
    assert measured.moved("1", "0") == 0.0  # 1 of the first, less 1 of the second and a quarter of the third
    measured = replace(measured, chance=[0.25, 0.2, 0.2, 0.0])
    assert measured.moved("1", "0") == pytest.approx(100 * (1 - 1 / 4 - 1 / 4) / 4)


def test_free_answers_are_not_adjusted() -> None:
    assert task("1100", "0000", chance=0.0).moved("1", "0") == 50.0


@pytest.mark.parametrize("options", [2, 4, 10])
def test_where_a_model_knows_or_guesses_the_adjusted_share_is_what_was_known_and_is_now_wrong(options: int) -> None:
    chance, random, count = 1 / options, np.random.default_rng(0), 50_000
    known = random.random(count) < 0.5
    kept = known & (random.random(count) < 0.6)
    both = [np.where(knows, 1, random.random(count) < chance) for knows in (known, kept)]
    measured = task(*("".join(map(str, right.astype(int))) for right in both), chance=chance)
    assert measured.moved("1", "0") == pytest.approx(100 * 0.5 * 0.4 * (1 - chance), abs=1.0)
    assert measured.moved("0", "1") == pytest.approx(0.0, abs=1.0)
    assert measured.moved("0", "1", adjusted=False) > 2.0


def test_the_mean_is_over_tasks_and_none_where_none_was_measured() -> None:
    assert General([task("11", "10"), task("1111", "1111")]).accuracy == 75.0
    assert General([], {"mmlu": "no hub"}).accuracy is None


def test_it_is_read_as_it_was_written() -> None:
    measured = General([task("10", "01", chance=0.0)], {"mmlu": "no hub"})
    assert General.of(asdict(measured)) == measured
    assert General.of(None) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"right": ["10", "1"]},
        {"right": ["12", "10"]},
        {"right": [], "after": []},
        {"after": [1, 2]},
        {"after": [0, 0]},
        {"chance": [0.25, 0.25, 0.25]},
        {"chance": [1.0]},
        {"chance": "0.25"},
    ],
)
def test_what_no_run_measures_is_refused(changes: dict[str, Any]) -> None:
    data = asdict(General([task("10", "01")]))
    data["tasks"][0] |= changes
    with pytest.raises(ValueError, match="expected"):
        General.of(data)


def test_a_missing_task_has_a_reason() -> None:
    for missing in ({"mmlu": None}, ["mmlu"]):
        with pytest.raises(ValueError, match="a reason for each missing one"):
            General.of({"tasks": [], "missing": missing})


def test_a_score_between_right_and_wrong_is_no_answer() -> None:
    assert answers([1, 0.0, True, False]) == "1010"
    with pytest.raises(ValueError, match=r"right \(1\) or wrong \(0\), got a score of 0.5"):
        answers([1, 0.5])
