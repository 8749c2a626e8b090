"""Means, paired differences and their intervals, against numbers worked out by hand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avalanche_aim.report.statistics import (
    Spread,
    bootstrap_interval,
    paired_difference,
    relative_change,
)

NUMBERS = st.floats(-100, 100, allow_nan=False).map(lambda x: round(x, 3))
RUNS = st.dictionaries(st.tuples(st.sampled_from("123"), st.integers(0, 3)), NUMBERS, min_size=1, max_size=8)


def runs(*values: float) -> dict[tuple[str, int], float]:
    return {("1", seed): value for seed, value in enumerate(values)}


def test_a_spread_is_mean_and_sample_standard_deviation() -> None:
    spread = Spread.of([1.0, 2.0, 6.0])
    assert spread is not None and (spread.count, spread.mean) == (3, 3.0)
    assert spread.deviation == pytest.approx(7**0.5)  # (4 + 1 + 9) / 2


def test_a_single_value_has_no_deviation_and_none_has_no_spread() -> None:
    assert Spread.of([4.0]) == Spread(1, 4.0, None)
    assert Spread.of([]) is None


def test_differences_are_paired_by_order_and_seed() -> None:
    difference = paired_difference({("1", 0): 5.0, ("2", 0): 9.0, ("2", 1): 99.0}, {("2", 0): 6.0, ("1", 0): 4.0})
    assert difference is not None and difference.spread.count == 2
    assert difference.spread.mean == 2.0 and difference.spread.deviation == pytest.approx(2**0.5)
    assert difference.relative == pytest.approx(0.4)  # (7 - 5) / 5


def test_runs_that_share_nothing_have_no_difference() -> None:
    assert paired_difference({("1", 0): 5.0}, {("1", 1): 4.0}) is None


def test_one_pair_has_no_interval() -> None:
    difference = paired_difference(runs(5.0), runs(4.0))
    assert difference is not None and difference.interval is None and not difference.excludes_zero
    with pytest.raises(ValueError, match="at least 2 values, got 1; add seeds or orders"):
        bootstrap_interval([1.0])


def test_two_pairs_give_their_own_range_which_is_rough() -> None:
    # A quarter of all resamples is twice the smaller one, so the 2.5 % quantile is the smaller one.
    difference = paired_difference(runs(5.0, 9.0), runs(4.0, 6.0))
    assert difference is not None and difference.interval == (1.0, 3.0)
    assert difference.rough and difference.excludes_zero


def test_an_interval_of_many_values_is_close_to_the_normal_one() -> None:
    values = [float(x % 10) for x in range(400)]  # mean 4.5, deviation of the mean 2.87 / 20
    low, high = bootstrap_interval(values)
    assert low == pytest.approx(4.5 - 1.96 * 0.1436, abs=0.03) and high == pytest.approx(4.5 + 1.96 * 0.1436, abs=0.03)


def test_the_same_values_always_have_the_same_interval() -> None:
    assert bootstrap_interval([1.0, 2.0, 7.0]) == bootstrap_interval([1.0, 2.0, 7.0])


@pytest.mark.parametrize(
    ("values", "baseline", "expected"),
    [
        ([60.0], [50.0], 0.2),
        ([-4.0], [-10.0], 0.6),  # less forgetting is an improvement
        ([5.0], [-10.0], 1.5),
        ([-12.0], [-10.0], -0.2),
        ([3.0], [0.0], None),
        ([3.0, 3.0], [-1.0, 2.0], None),  # nobody knows the sign of this baseline
    ],
)
def test_relative_change_is_over_the_size_of_the_baseline(values: Any, baseline: Any, expected: Any) -> None:
    assert relative_change(values, baseline) == (expected if expected is None else pytest.approx(expected))


@given(RUNS, RUNS)
def test_swapping_a_strategy_and_its_baseline_swaps_the_sign(a: Any, b: Any) -> None:
    there, back = paired_difference(a, b), paired_difference(b, a)
    if there is None or back is None:
        assert there is back is None
        return
    assert there.spread.mean == pytest.approx(-back.spread.mean)
    assert there.spread.deviation == (back.spread.deviation and pytest.approx(back.spread.deviation))
    if there.interval and back.interval:
        low, high = back.interval
        assert there.interval == (pytest.approx(-high), pytest.approx(-low))


@given(st.lists(NUMBERS, min_size=1, max_size=6), NUMBERS)
def test_the_interval_of_symmetric_values_contains_their_mean(half: list[float], centre: float) -> None:
    low, high = bootstrap_interval([centre + x for x in half] + [centre - x for x in half])
    assert low <= centre + 1e-9 and centre - 1e-9 <= high


@given(st.lists(NUMBERS, min_size=2, max_size=8), NUMBERS)
def test_an_interval_lies_within_the_values_and_moves_with_them(values: list[float], shift: float) -> None:
    low, high = bootstrap_interval(values, resamples=500)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert bootstrap_interval([v + shift for v in values], resamples=500) == (
        pytest.approx(low + shift), pytest.approx(high + shift))  # fmt: skip
