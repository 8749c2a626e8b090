"""The task orders of the field, by name.

Numbering differs from paper to paper: numbers here are those of O-LoRA, SAPT and AIMMerging, and each order has
a name of its own as well.
"""

import re
from collections.abc import Mapping, Sequence

STANDARD_CL: dict[str, tuple[str, ...]] = {
    "dbpedia-first-agnews-last": ("dbpedia", "amazon", "yahoo", "agnews"),
    "dbpedia-first-yahoo-last": ("dbpedia", "amazon", "agnews", "yahoo"),
    "yahoo-first": ("yahoo", "amazon", "agnews", "dbpedia"),
}
"""Orders 1 to 3."""


def _tasks(names: str) -> tuple[str, ...]:
    return tuple(names.split())


LONG_SEQUENCE: dict[str, tuple[str, ...]] = {
    "mnli-first": _tasks("mnli cb wic copa qqp boolqa rte imdb yelp amazon sst-2 dbpedia agnews multirc yahoo"),
    "multirc-first": _tasks("multirc boolqa wic mnli cb copa qqp rte imdb sst-2 dbpedia agnews yelp amazon yahoo"),
    "yelp-first": _tasks("yelp amazon mnli cb copa qqp rte imdb sst-2 dbpedia agnews yahoo multirc boolqa wic"),
}
"""Orders 4 to 6."""

SUPERNI: dict[str, tuple[str, ...]] = {
    "task1572-first": _tasks(
        "task1572 task363 task1290 task181 task002 task1510 task639 task1729 task073 task1590 task748 task511 task591 "
        "task1687 task875"
    ),
    "task748-first": _tasks(
        "task748 task073 task1590 task639 task1572 task1687 task591 task363 task1510 task1729 task181 task511 task002 "
        "task1290 task875"
    ),
}
"""Orders 1 and 2 of the SuperNI tasks."""

TRACE: dict[str, tuple[str, ...]] = {
    "c-stance-first": _tasks("C-STANCE FOMC MeetingBank Py150 ScienceQA NumGLUE-cm NumGLUE-ds 20Minuten"),
}
"""Order 1 of TRACE (arXiv 2310.06762), that of its training scripts."""

MMLU_PRO: dict[str, tuple[str, ...]] = {
    "biology-first": _tasks(
        "biology business chemistry computer-science economics engineering health history law math other philosophy "
        "physics psychology"
    ),
}
"""Order 1 of MMLU-Pro's domains: by name, since there is no published one."""

# The shipped sample follows the same orders, each of its tasks in the place of the one it resembles.
SAMPLE_TASKS = {"dbpedia": "entities", "amazon": "reviews", "yahoo": "questions", "agnews": "news"}

_ALIASES = {"boolq": "boolqa", "sst": "sst2", "dbpedia14": "dbpedia", "agnewstopic": "agnews"}


def canonical(name: str) -> str:
    """Return the spelling under which a task's name is compared.

    ``SST-2``, ``sst-2`` and ``sst2`` are one task, as are ``BoolQ`` and ``BoolQA``; a Natural-Instructions name
    counts by its number (``task363_sst2_polarity_classification`` is ``task363``).
    """
    numbered = re.match(r"task(\d+)(?:_|$)|(\d+)$", name.lower())
    if numbered:
        return f"task{int(numbered.group(1) or numbered.group(2)):03d}"
    plain = re.sub(r"[\W_]", "", name.lower())
    return _ALIASES.get(plain, plain)


def resolve_order(
    order: int | str | Sequence[str], orders: Mapping[str, tuple[str, ...]], first_number: int
) -> tuple[str, ...]:
    """Return the tasks of an order.

    :param order: its number, its name, the tasks themselves, or one task by its name. A text of digits is a number,
        unless it begins with 0 ("002"): that is a task.
    :param orders: the benchmark's orders, by name, in the sequence of their numbers.
    :param first_number: the number of the first.
    :raises ValueError: for an unknown number or name, an empty list, or a task named twice.
    """
    numbers = {first_number + i: tasks for i, tasks in enumerate(orders.values())}
    known = f"{', '.join(map(str, numbers))}, or {', '.join(orders)}, or a known task, or a list of tasks"
    if isinstance(order, bool) or not isinstance(order, (int, str, Sequence)):
        raise ValueError(f"order: expected one of {known}; got {order!r:.200}")
    if isinstance(order, (int, str)):
        by_text = {**{str(number): tasks for number, tasks in numbers.items()}, **orders}
        tasks = numbers.get(order) if isinstance(order, int) else by_text.get(order, _one_task(order))
        if tasks is None:
            raise ValueError(f"order: expected one of {known}; got {order!r:.200}")
        return tasks
    tasks = tuple(order)
    if not all(isinstance(task, str) for task in tasks):
        raise ValueError(f"order: expected one of {known}; got {order!r:.200}")
    spelled = [canonical(task) for task in tasks]
    if not all(spelled) or not tasks or len(set(spelled)) != len(spelled):
        raise ValueError(f"order: expected a list of different tasks, at least one; got {list(tasks)!r:.200}")
    return tasks


def _one_task(name: str) -> tuple[str, ...] | None:
    """The stream of one task, if it is known: any other text is more likely an order's name with a slip in it."""
    benchmarks = (STANDARD_CL, LONG_SEQUENCE, SUPERNI, TRACE, MMLU_PRO, {"sample": tuple(SAMPLE_TASKS.values())})
    known = {canonical(task) for orders in benchmarks for tasks in orders.values() for task in tasks}
    return (name,) if canonical(name) in known else None
