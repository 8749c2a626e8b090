"""Results as a table for people."""

from collections.abc import Callable

import pytest

from avalanche_aim.experiments import Result
from avalanche_aim.merging import History
from avalanche_aim.report.results_table import results_table

ResultOf = Callable[..., Result]


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def column(table: str, name: str) -> list[str]:
    header, _, *rows = cells(table)
    return [row[header.index(name)] for row in rows]


def test_a_row_holds_the_last_score_of_each_task_and_the_numbers_that_follow(merged: Result) -> None:
    header, _, row = cells(results_table([merged]))
    assert header == ["strategy", "moods", "topics", "OP", "BWT", "label acc.", "minutes", "merges"]
    assert row == ["aim", "60.0", "90.0", "75.0", "-20.0", "75.0", "2.0", "1"]


def test_there_is_one_row_a_strategy_in_the_order_of_the_runs(result_of: ResultOf) -> None:
    runs = [result_of(name, seed) for seed in (0, 1) for name in ("replay", "aim", "naive")]
    assert column(results_table(runs), "strategy") == ["replay", "aim", "naive"]


def test_several_seeds_are_mean_and_standard_deviation(result_of: ResultOf) -> None:
    runs = [result_of(seed=seed, r=[[80.0], [score, 90.0]]) for seed, score in enumerate((50.0, 60.0, 70.0))]
    table = results_table(runs)
    assert column(table, "moods") == ["60.0 ± 10.0"]
    assert column(table, "topics") == ["90.0 ± 0.0"]


def test_a_strategy_that_does_not_merge_has_a_dash(result_of: ResultOf) -> None:
    assert column(results_table([result_of(), result_of("aim", history=History())]), "merges") == ["–", "0"]


def test_joint_training_has_no_backward_transfer(result_of: ResultOf) -> None:
    table = results_table([result_of(), result_of("joint", r=((), (60.0, 90.0)))])
    assert column(table, "BWT") == ["-20.0", "–"]
    assert column(table, "OP") == ["75.0", "75.0"]


def test_forward_transfer_has_a_column_where_it_was_measured(result_of: ResultOf) -> None:
    assert "FWT" not in results_table([result_of()])
    assert column(results_table([result_of(single=[70.0, 70.0]), result_of("aim")]), "FWT") == ["15.0", "–"]


def test_a_single_task_has_no_backward_transfer(result_of: ResultOf) -> None:
    assert column(results_table([result_of(r=[[80.0]])]), "BWT") == ["–"]


def test_open_tasks_alone_have_no_label_accuracy(result_of: ResultOf) -> None:
    assert column(results_table([result_of(label_accuracy=[])]), "label acc.") == ["–"]


@pytest.mark.parametrize("names", [("naive",), ("naive", "random-interval")])
def test_the_columns_line_up(result_of: ResultOf, names: tuple[str, ...]) -> None:
    lines = results_table([result_of(name) for name in names]).splitlines()
    assert len({tuple(i for i, char in enumerate(line) if char == "|") for line in lines}) == 1
    assert set(lines[1]) <= set("|-: ")
