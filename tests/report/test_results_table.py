"""Results as the table that a comparison prints."""

from dataclasses import replace
from typing import Any

from made_up import result

from avalanche_aim.experiments import Result
from avalanche_aim.merging import History
from avalanche_aim.report.results_table import results_table

R = [[80.0], [60.0, 90.0]]


def run(name: str = "naive", seed: int = 0, r: Any = R, **changes: Any) -> Result:
    tasks = ["moods", "topics"][: len(r)]
    values = {"tasks": tasks, "label_accuracy": [75.0], "single": None, "history": None, "eval_rows": None, **changes}
    made = result(name, seed=seed, r=r, **values)
    return replace(made, cost=replace(made.cost, minutes=2.0))


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def column(table: str, name: str) -> list[str]:
    header, _, *rows = cells(table)
    return [row[header.index(name)] for row in rows]


def test_a_row_holds_the_last_score_of_each_task_and_the_numbers_that_follow() -> None:
    header, _, row = cells(results_table([run("aim", history=History())]))
    assert header == ["strategy", "moods", "topics", "OP", "BWT", "label acc.", "minutes", "merges"]
    assert row == ["aim", "60.0", "90.0", "75.0", "-20.0", "75.0", "2.0", "0"]


def test_there_is_one_row_for_each_strategy_in_the_order_of_the_runs() -> None:
    runs = [run(name, seed) for seed in (0, 1) for name in ("replay", "aim", "naive")]
    assert column(results_table(runs), "strategy") == ["replay", "aim", "naive"]


def test_several_seeds_are_mean_and_standard_deviation() -> None:
    runs = [run(seed=seed, r=[[80.0], [score, 90.0]]) for seed, score in enumerate((50.0, 60.0, 70.0))]
    table = results_table(runs)
    assert column(table, "moods") == ["60.0 ± 10.0"]
    assert column(table, "topics") == ["90.0 ± 0.0"]


def test_what_a_run_lacks_is_a_dash() -> None:
    runs = [run(), run("joint", r=[[], [60.0, 90.0]], label_accuracy=[]), run("aim", history=History())]
    table = results_table(runs)
    assert column(table, "merges") == ["–", "–", "0"]
    assert column(table, "BWT") == ["-20.0", "–", "-20.0"]
    assert column(table, "label acc.") == ["75.0", "–", "75.0"]
    assert column(results_table([run(r=[[80.0]])]), "BWT") == ["–"]


def test_forward_transfer_has_a_column_where_it_was_measured() -> None:
    assert "FWT" not in results_table([run()])
    assert column(results_table([run(single=[70.0, 70.0]), run("aim")]), "FWT") == ["15.0", "–"]


def test_the_columns_line_up() -> None:
    lines = results_table([run(), run("random-interval")]).splitlines()
    assert len({tuple(i for i, char in enumerate(line) if char == "|") for line in lines}) == 1
