"""Times with their spread."""

import time
from collections.abc import Callable
from statistics import median


def interleaved(functions: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Time functions in turn, so that a busy machine slows all alike; each runs once before, unmeasured.

    :param functions: what to time, by name.
    :param repeats: rounds.
    :return: the seconds of each round.
    """
    for function in functions.values():
        function()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def spread(values: list[float], unit: str = "", scale: float = 1.0) -> str:
    """Lay out the median, the least and the greatest.

    :param values: measured values.
    :param unit: after the numbers.
    :param scale: the values are multiplied by.
    """
    low, middle, high = (scale * f(values) for f in (min, median, max))
    return f"{middle:.2f}{unit} ({low:.2f} to {high:.2f})"
