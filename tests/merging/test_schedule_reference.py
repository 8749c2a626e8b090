"""When the published code merges: its intervals, and the boundaries at 64, by hand."""

import pytest
from schedules import LEVEL, next_interval

from avalanche_aim.merging import ReferenceInterval


def reference_step(interval, previous, current, **settings):
    """Return the interval that follows ``interval`` when the learning signal goes from previous to current."""
    schedule = ReferenceInterval(**({"initial": interval, "maximum": 1000} | settings))
    return next_interval(schedule, [previous] * 4 + [current])


@pytest.mark.parametrize(
    ("interval", "following"),
    list(enumerate([58, 59, 60, 61, 62, 63, 32, 32, 33, 33, 34, 34, 35, 35, 36, 36], start=58)),
)
def test_the_reference_halves_from_64_when_the_signal_stays(interval, following):
    assert reference_step(interval, 1, 1) == following


@pytest.mark.parametrize(
    ("interval", "ratio", "following"),
    [
        (72, 1.125, 32),  # 72 / 1.125 = 64: halved
        (71, 1.125, 63),  # 63.11: not
        (73, 1.125, 32),  # 64.89
        (66, 1.03125, 32),  # 64.0
        (65, 1.03125, 63),  # 63.03
        (58, 1.25, 46),  # 46.4
        (73, 1.5, 48),  # 48.67
        (200, 1.25, 80),  # 160: halved once only
    ],
)
def test_the_reference_halves_only_what_is_still_64_after_shrinking(interval, ratio, following):
    assert reference_step(interval, 1, ratio) == following


@pytest.mark.parametrize(
    ("interval", "following"),
    # The signal falls from 1 to 0.8: the factor is 1.25 + 1 below 64, 1.25 + 0.5 from 64 on.
    list(enumerate([130, 132, 135, 137, 139, 141, 112, 113, 115, 117, 119, 120, 122, 124, 126, 127], start=58)),
)
def test_the_reference_grows_by_one_more_below_64_and_by_half_from_there(interval, following):
    assert reference_step(interval, 1, 0.8) == following


@pytest.mark.parametrize(
    ("interval", "previous", "current", "following"),
    [(8, 1, 2, 4), (8, 1, 3, 2), (9, 2, 3, 6), (7, 2, 3, 4), (8, 2, 1, 24), (8, 5, 4, 18)],
)
def test_the_reference_follows_the_ratio_of_the_last_two_signals(interval, previous, current, following):
    assert reference_step(interval, previous, current) == following


def test_the_reference_rounds_down_in_the_order_of_the_published_code():
    # int(S * (p/signal + 1)): 9 * (4/3 + 1) is 21, but 20.999... in floats; int(S*p/signal + S) would give 21.
    assert reference_step(9, 4, 3) == 20


def test_the_reference_ignores_all_but_the_last_two_signals():
    assert next_interval(ReferenceInterval(8), [9, 8, 7, 1, 2]) == 4


@pytest.mark.parametrize(("previous", "current", "following"), [(1, 100, 2), (100, 1, 128)])
def test_the_reference_clamps_at_both_bounds(previous, current, following):
    assert reference_step(60, previous, current, minimum=2, maximum=128) == following


def test_the_reference_halves_after_clamping_so_that_it_may_fall_below_a_high_minimum():
    assert reference_step(80, 1, 2, minimum=70) == 35


def test_a_signal_that_stays_zero_counts_as_one_that_stays():
    assert reference_step(8, 0, 0) == 8
    assert reference_step(64, 0, 0) == 32


def test_a_signal_that_rises_from_zero_gives_the_minimum():
    assert reference_step(60, 0, 0.1, minimum=3) == 3


def test_a_signal_that_falls_to_zero_gives_the_maximum():
    assert reference_step(60, 0.1, 0, maximum=99) == 99


def test_the_reference_adapts_only_beyond_the_cold_start():
    assert next_interval(ReferenceInterval(8), [1, 2, 3, 4]) == 8
    assert next_interval(ReferenceInterval(8), [1, 1, 1, 1, 2]) == 4


def test_the_reference_keeps_its_interval_when_it_is_not_adaptive():
    assert next_interval(ReferenceInterval(8, adaptive=False), [1, 1, 1, 1, 2]) == 8


def test_a_new_experience_starts_the_reference_anew():
    schedule = ReferenceInterval(8)
    next_interval(schedule, [*LEVEL, 4])
    assert (schedule.interval, schedule.adapted) == (2, True)
    schedule.start()
    assert (schedule.interval, schedule.adapted) == (8, False)
