"""The task orders of the field, by number and by name."""

from collections.abc import Mapping
from typing import Any

import pytest

from avalanche_aim.text.data.orders import LONG_SEQUENCE, SAMPLE_TASKS, STANDARD_CL, SUPERNI, canonical, resolve_order


@pytest.mark.parametrize(
    ("number", "tasks"),
    [
        (1, "dbpedia amazon yahoo agnews"),
        (2, "dbpedia amazon agnews yahoo"),
        (3, "yahoo amazon agnews dbpedia"),
    ],
)
def test_standard_cl_orders_are_those_of_the_papers(number: int, tasks: str) -> None:
    assert resolve_order(number, STANDARD_CL, 1) == tuple(tasks.split())


@pytest.mark.parametrize(
    ("number", "tasks"),
    [
        (4, "mnli cb wic copa qqp boolqa rte imdb yelp amazon sst-2 dbpedia agnews multirc yahoo"),
        (5, "multirc boolqa wic mnli cb copa qqp rte imdb sst-2 dbpedia agnews yelp amazon yahoo"),
        (6, "yelp amazon mnli cb copa qqp rte imdb sst-2 dbpedia agnews yahoo multirc boolqa wic"),
    ],
)
def test_long_sequence_orders_are_those_of_the_papers(number: int, tasks: str) -> None:
    assert resolve_order(number, LONG_SEQUENCE, 4) == tuple(tasks.split())


@pytest.mark.parametrize(
    ("number", "tasks"),
    [
        (1, "1572 363 1290 181 002 1510 639 1729 073 1590 748 511 591 1687 875"),
        (2, "748 073 1590 639 1572 1687 591 363 1510 1729 181 511 002 1290 875"),
    ],
)
def test_superni_orders_are_those_of_the_papers(number: int, tasks: str) -> None:
    assert [task.removeprefix("task") for task in resolve_order(number, SUPERNI, 1)] == tasks.split()


@pytest.mark.parametrize("orders", [STANDARD_CL, LONG_SEQUENCE, SUPERNI])
def test_all_orders_of_a_benchmark_have_the_same_tasks(orders: Mapping[str, tuple[str, ...]]) -> None:
    assert len({frozenset(tasks) for tasks in orders.values()}) == 1


def test_an_order_has_a_name_as_well() -> None:
    assert resolve_order("yahoo-first", STANDARD_CL, 1) == resolve_order(3, STANDARD_CL, 1)


def test_a_number_may_be_written_as_text() -> None:
    assert resolve_order("2", STANDARD_CL, 1) == resolve_order(2, STANDARD_CL, 1)


def test_a_list_of_tasks_is_an_order_of_its_own() -> None:
    assert resolve_order(["yelp", "cb"], STANDARD_CL, 1) == ("yelp", "cb")


@pytest.mark.parametrize("order", [0, 4, "4", "yahoo-last", "weather", ""])
def test_an_unknown_order_is_refused_and_the_known_ones_are_listed(order: Any) -> None:
    with pytest.raises(ValueError, match=r"expected one of 1, 2, 3.*dbpedia-first-agnews-last.*yahoo-first"):
        resolve_order(order, STANDARD_CL, 1)


@pytest.mark.parametrize("order", ["agnews", "AG News", "news", "cb", "task363", "363", "073"])
def test_a_text_that_names_one_known_task_is_a_stream_of_it(order: str) -> None:
    assert resolve_order(order, STANDARD_CL, 1) == (order,)


def test_a_text_of_digits_is_an_orders_number_unless_it_begins_with_zero() -> None:
    assert resolve_order("2", SUPERNI, 1) == SUPERNI["task748-first"]
    assert resolve_order("002", SUPERNI, 1) == ("002",)


@pytest.mark.parametrize("order", [[], [""], ["agnews", ""], ["agnews", "yahoo", "agnews"], ["SST-2", "sst2"]])
def test_a_list_that_is_empty_or_names_a_task_twice_is_refused(order: list[str]) -> None:
    with pytest.raises(ValueError, match="expected a list of different tasks, at least one"):
        resolve_order(order, STANDARD_CL, 1)


@pytest.mark.parametrize(
    "spellings",
    [
        ("SST-2", "sst-2", "sst2", "SST"),
        ("BoolQA", "boolqa", "boolq", "BoolQ"),
        ("AG News", "ag_news", "agnews"),
        ("DBpedia", "dbpedia_14", "dbpedia"),
        ("task002_quoref_answer_generation", "task2", "task002", "002", "2"),
    ],
)
def test_one_task_in_several_spellings_is_one_task(spellings: tuple[str, ...]) -> None:
    assert len({canonical(name) for name in spellings}) == 1


def test_names_in_any_script_stay_different() -> None:
    assert len({canonical(name) for name in ("新闻", "评论", "Новости", "nouvelles", "événements", "evenements")}) == 6


def test_different_tasks_stay_different() -> None:
    names = {task for orders in (STANDARD_CL, LONG_SEQUENCE, SUPERNI) for tasks in orders.values() for task in tasks}
    assert len({canonical(name) for name in names}) == len(names)


def test_each_standard_cl_task_has_its_place_taken_by_a_sample_task() -> None:
    assert set(SAMPLE_TASKS) == set(STANDARD_CL["yahoo-first"])
    assert len(set(SAMPLE_TASKS.values())) == len(SAMPLE_TASKS)
