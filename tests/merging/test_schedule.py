"""When to merge: every schedule's intervals, bounds and errors."""

import json
import random

import pytest
from schedules import LEVEL, intervals_passed, next_interval
from views import merged, observed

from avalanche_aim.merging import (
    AdaptiveInterval,
    FixedInterval,
    ForgettingSignal,
    LearningSignal,
    OncePerTask,
    RandomInterval,
    ReferenceInterval,
    SharesOfTask,
)

ALL = [AdaptiveInterval, ReferenceInterval, lambda: FixedInterval(5), lambda: RandomInterval(5), OncePerTask]
NAMES = ["adaptive", "reference", "fixed", "random", "once"]


# The shortest interval


def at_minimum(schedule, values):
    """Adapt to the learning signals and say whether the schedule takes its interval for the shortest."""
    learning = LearningSignal(None)
    learning.values = [float(value) for value in values]
    schedule.adapt(merged(learning=learning))
    return schedule.at_minimum


@pytest.mark.parametrize("make", [AdaptiveInterval, ReferenceInterval])
def test_an_adaptive_schedule_says_when_it_has_shrunk_to_its_minimum(make):
    assert at_minimum(make(3, minimum=2), [1, 1, 1, 1, 9])


@pytest.mark.parametrize("make", [AdaptiveInterval, ReferenceInterval])
def test_an_interval_above_the_minimum_is_not_the_shortest(make):
    assert not at_minimum(make(8, minimum=2), [1, 1, 1, 1, 1.1])


@pytest.mark.parametrize(("make", "signals"), [(AdaptiveInterval, 3), (ReferenceInterval, 4)])
def test_an_interval_that_begins_at_the_minimum_is_not_chosen_before_the_cold_start_ends(make, signals):
    schedule = make(2, minimum=2)
    assert not at_minimum(schedule, [1] * signals)
    assert at_minimum(schedule, [1] * (signals + 1))


@pytest.mark.parametrize("make", [AdaptiveInterval, ReferenceInterval])
def test_bounds_that_leave_no_choice_are_no_minimum(make):
    assert not at_minimum(make(2, minimum=2, maximum=2), [1] * 6)


def test_a_reference_schedule_that_does_not_adapt_has_no_minimum():
    assert not at_minimum(ReferenceInterval(2, adaptive=False), [1] * 6)


@pytest.mark.parametrize("schedule", [FixedInterval(1), RandomInterval(1), OncePerTask()])
def test_schedules_that_ignore_the_signals_have_no_minimum(schedule):
    assert not at_minimum(schedule, [1] * 6)


# The paper's controller


def test_the_paper_shortens_the_interval_when_upward_pairs_dominate():
    assert next_interval(AdaptiveInterval(12), [1, 2, 3, 4]) == 8


def test_the_paper_lengthens_the_interval_when_downward_pairs_dominate():
    assert next_interval(AdaptiveInterval(12), [4, 3, 2, 1]) == 18


def test_the_paper_rounds_away_from_the_interval():
    assert next_interval(AdaptiveInterval(8), [1, 2, 3, 4]) == 5  # 8 / 1.5 = 5.33
    assert next_interval(AdaptiveInterval(10), [1, 2, 3, 4]) == 6  # 6.67
    assert next_interval(AdaptiveInterval(9), [4, 3, 2, 1]) == 14  # 9 * 1.5 = 13.5
    assert next_interval(AdaptiveInterval(8, growth=1.15), [4, 3, 2, 1]) == 10  # 9.2


def test_the_paper_leaves_the_interval_on_a_tie():
    assert next_interval(AdaptiveInterval(12), [1, 2, 1, 2, 1]) == 12


@pytest.mark.parametrize("cold_start", [1, 3, 5])
def test_the_paper_adapts_once_more_signals_than_the_cold_start_are_in_the_window(cold_start):
    falling = [9, 8, 7, 6, 5, 4]
    assert next_interval(AdaptiveInterval(12, cold_start=cold_start), falling[:cold_start]) == 12
    assert next_interval(AdaptiveInterval(12, cold_start=cold_start), falling[: cold_start + 1]) == 18


def test_without_a_cold_start_a_single_signal_speaks_for_neither_side():
    assert next_interval(AdaptiveInterval(12, cold_start=0), [1]) == 12


def test_the_paper_clamps_at_both_bounds():
    assert next_interval(AdaptiveInterval(3, minimum=3), [1, 2, 3, 4]) == 3
    assert next_interval(AdaptiveInterval(100, maximum=128), [4, 3, 2, 1]) == 128


@pytest.mark.parametrize(("initial", "growth", "grown"), [(10, 1.1, 11), (10, 1.4, 14), (20, 1.15, 23), (50, 1.1, 55)])
def test_rounding_up_sees_no_float_noise(initial, growth, grown):
    assert next_interval(AdaptiveInterval(initial, growth=growth), [4, 3, 2, 1]) == grown


@pytest.mark.parametrize(("initial", "shrink", "shrunk"), [(12, 1.2, 10), (14, 1.4, 10), (33, 1.1, 30), (66, 1.1, 60)])
def test_rounding_down_sees_no_float_noise(initial, shrink, shrunk):
    assert next_interval(AdaptiveInterval(initial, shrink=shrink), [1, 2, 3, 4]) == shrunk


def test_the_paper_merges_when_the_interval_has_passed():
    assert intervals_passed(AdaptiveInterval(8), 24) == [8, 8, 8]


def test_the_paper_merges_at_once_when_activations_reach_the_patience():
    schedule, forgetting = AdaptiveInterval(16, patience=3), ForgettingSignal()
    forgetting.activations = 2
    assert schedule.due(observed(forgetting=forgetting)) is None
    forgetting.activations = 3
    assert schedule.due(observed(forgetting=forgetting)) == "forgetting"


# The other schedules


def test_a_fixed_interval_merges_every_n_iterations():
    assert intervals_passed(FixedInterval(5), 23) == [5, 5, 5, 5]


def test_a_fixed_interval_ignores_the_signals():
    assert next_interval(FixedInterval(5), [1, 2, 3, 4, 5]) == 5


def random_intervals(mean=8, seed=0, count=2000):
    schedule = RandomInterval(mean, seed)
    schedule.start()
    drawn = []
    for _ in range(count):
        drawn.append(schedule.interval)
        schedule.adapt(merged())
    return drawn


def test_random_intervals_are_uniform_around_their_mean():
    drawn = random_intervals(mean=8)
    assert set(drawn) == set(range(1, 16))
    assert sum(drawn) / len(drawn) == pytest.approx(8, abs=0.3)
    assert max(drawn.count(n) for n in range(1, 16)) < 2 * min(drawn.count(n) for n in range(1, 16))


def test_random_intervals_depend_on_the_seed_alone():
    assert random_intervals(seed=1, count=50) == random_intervals(seed=1, count=50)
    assert random_intervals(seed=1, count=50) != random_intervals(seed=2, count=50)


def test_random_intervals_leave_the_global_stream_alone():
    before = random.getstate()
    random_intervals(count=20)
    assert random.getstate() == before


def test_a_mean_of_one_merges_at_every_iteration():
    assert set(random_intervals(mean=1, count=20)) == {1}


def test_once_per_task_is_due_at_the_end_only():
    assert intervals_passed(OncePerTask(), 500) == []
    assert OncePerTask().merges_at_end


@pytest.mark.parametrize("schedule", ALL[:-1], ids=NAMES[:-1])
def test_only_once_per_task_merges_at_the_end_unless_asked(schedule):
    assert not schedule().merges_at_end


@pytest.mark.parametrize("kind", [AdaptiveInterval, ReferenceInterval, FixedInterval, RandomInterval])
def test_every_schedule_can_merge_at_the_end_as_well(kind):
    assert kind(merges_at_end=True).merges_at_end


# Shares of a task


def merges_at(schedule, iterations):
    """Iterations of a task at which a schedule merges; the end apart."""
    schedule.start()
    merges = []
    for iteration in range(1, iterations + 1):
        progress = iteration / iterations
        if schedule.due(observed(progress=progress)):
            merges.append(iteration)
            schedule.adapt(merged(progress=progress))
    return merges


@pytest.mark.parametrize(
    ("merges", "iterations", "expected"),
    [(3, 12, [4, 8]), (3, 10, [4, 7]), (1, 12, []), (2, 2, [1]), (5, 3, [1, 2]), (100, 100, list(range(1, 100)))],
)
def test_shares_of_a_task_are_merged_when_they_have_passed_and_the_last_at_the_end(merges, iterations, expected):
    schedule = SharesOfTask(merges)
    assert schedule.merges_at_end
    assert merges_at(schedule, iterations) == expected
    assert merges_at(schedule, iterations) == expected  # a new task begins anew


def test_a_restored_schedule_of_shares_goes_on_where_it_was():
    schedule, restored = SharesOfTask(4), SharesOfTask(4)
    schedule.adapt(merged(progress=0.5))
    restored.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    assert [restored.due(observed(progress=share)) for share in (0.5, 0.7, 0.75)] == [None, None, "share"]


def test_shares_of_a_task_of_unknown_length_are_refused():
    with pytest.raises(ValueError, match=r"asked for its progress, .* whose number of iterations is known"):
        SharesOfTask().due(observed())


# Errors and state


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FixedInterval(0), "interval: expected a whole number of iterations, at least 1, got 0"),
        (lambda: FixedInterval(-4), "interval: expected a whole number of iterations, at least 1, got -4"),
        (lambda: SharesOfTask(0), "merges: expected 1 or more in a task, got 0"),
        (lambda: RandomInterval(0), "interval: expected a whole number of iterations, at least 1, got 0"),
        (lambda: ReferenceInterval(0), "interval: expected a whole number of iterations, at least 1, got 0"),
        (lambda: AdaptiveInterval(1), "1 <= minimum <= initial <= maximum, got minimum 2, initial 1 and maximum 128"),
        (lambda: AdaptiveInterval(200), "got minimum 2, initial 200 and maximum 128"),
        (lambda: AdaptiveInterval(8, minimum=0), "got minimum 0, initial 8"),
        (lambda: ReferenceInterval(8, minimum=9), "got minimum 9, initial 8"),
        (lambda: ReferenceInterval(8, maximum=7), "got minimum 2, initial 8 and maximum 7"),
        (lambda: AdaptiveInterval(growth=1.0), "growth and shrink: expected factors above 1, got 1.0 and 1.5"),
        (lambda: AdaptiveInterval(shrink=0.5), "growth and shrink: expected factors above 1, got 1.5 and 0.5"),
        (lambda: AdaptiveInterval(patience=0), "expected patience >= 1 and cold_start >= 0, got 0 and 3"),
        (lambda: AdaptiveInterval(cold_start=-1), "expected patience >= 1 and cold_start >= 0, got 3 and -1"),
        (lambda: ReferenceInterval(patience=0), "patience"),
        (lambda: ReferenceInterval(cold_start=-1), "cold_start"),
    ],
)
def test_a_setting_out_of_range_is_refused_with_what_was_expected_and_got(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("make", ALL, ids=NAMES)
def test_a_restored_schedule_goes_on_identically(make):
    schedule, restored = make(), make()
    schedule.start()
    next_interval(schedule, [*LEVEL, 2])
    restored.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    for values in ([1, 2, 3, 4, 5], [5, 4, 3, 2, 1], [1, 1, 1, 1, 1.3]):
        assert next_interval(schedule, values) == next_interval(restored, values)
        assert schedule.adapted == restored.adapted


@pytest.mark.parametrize("make", ALL, ids=NAMES)
def test_a_saved_schedule_is_not_changed_by_going_on(make):
    schedule = make()
    state = schedule.state_dict()
    saved = json.dumps(state)
    schedule.start()
    next_interval(schedule, [1, 1, 1, 1, 2])
    assert json.dumps(state) == saved


@pytest.mark.parametrize("make", ALL, ids=NAMES)
@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_a_state_with_wrong_names_is_refused(make, change):
    state = make().state_dict()
    if change == "missing":
        state.pop("interval")
    else:
        state["surplus"] = 1
    with pytest.raises(ValueError, match="expected the state"):
        make().load_state_dict(state)
