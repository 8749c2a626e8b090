"""Which iterations are monitored, and how many memory iterations a merge has."""

import pytest

from avalanche_aim.merging import PRESETS, AdaptiveInterval, RehearsalPlan


def controller(every=1, relax_below=0.0, interval=12, factor=2.0):
    chosen = PRESETS["paper"].controller(
        schedule=AdaptiveInterval(interval),
        forgetting={"factor": factor},
        rehearsal={"monitor_every": every, "relax_below": relax_below},
    )
    chosen.start()
    return chosen


def watched(chosen, losses):
    """Feed iterations until a merge is due; return which were monitored, from 1, and the reason."""
    seen, losses = [], iter(losses)
    for iteration in range(1, 1000):
        if chosen.watch():
            seen.append(iteration)
            reason = chosen.observe(next(losses))
        else:
            reason = chosen.observe()
        if reason:
            return seen, reason
    raise AssertionError("no merge was due")


def test_every_iteration_is_monitored_by_default():
    assert watched(controller(), [1.0] * 12) == (list(range(1, 13)), "interval")


def test_every_few_iterations_are_monitored_and_the_merge_is_still_due_after_the_interval():
    assert watched(controller(every=5), [1.0] * 12) == ([5, 10], "interval")


def test_two_thirds_of_the_losses_of_an_interval_set_the_threshold():
    chosen = controller(every=4, interval=24)  # six losses: four set the threshold, two are compared
    watched(chosen, [1.0, 2.0, 3.0, 2.0, 9.0, 9.0])
    merged = chosen.merge(1.0, "interval")
    assert (merged.threshold, merged.activations) == (4.0, 2)


def test_enough_activations_still_merge_early():
    seen, reason = watched(controller(every=2, interval=60, factor=1.0), [1.0] * 30)
    assert (seen[-1], reason) == (46, "forgetting")  # 20 losses are collected, the next three are activations


def test_far_below_the_threshold_the_next_loss_waits_twice_as_long():
    seen, _ = watched(controller(every=2, relax_below=0.5, interval=30), [1.0] * 10 + [0.9, 1.1, 0.5, 1.1, 1.0])
    assert seen == [2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 26, 28]  # at 22 0.9 < 0.5 * 2.0, at 26 1.1 is not


def test_waiting_starts_anew_in_each_interval():
    chosen = controller(every=8)
    watched(chosen, [1.0])
    chosen.merge(1.0, "interval")
    assert watched(chosen, [1.0]) == ([8], "interval")


def test_an_interval_shorter_than_the_distance_is_monitored_once():
    chosen = controller(every=8, interval=4)
    assert watched(chosen, [3.0]) == ([4], "interval")
    merged = chosen.merge(1.0, "interval")
    assert (merged.threshold, merged.activations) == (6.0, 0)


def test_the_state_is_restored():
    chosen, other = controller(every=3), controller(every=3)
    chosen.watch(), chosen.observe()
    other.load_state_dict(chosen.state_dict())
    assert watched(other, [1.0] * 4) == watched(chosen, [1.0] * 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"monitor_every": 0}, "monitor_every: expected a whole number"),
        ({"monitor_every": 1.5}, "monitor_every: expected a whole number"),
        ({"ratio": -0.5}, "ratio: expected 0 or more .* got -0.5"),
        ({"ratio": "1"}, "ratio: expected 0 or more .* got '1'"),
        ({"per": "epoch"}, r"per: expected one of \('passed', 'planned', 'merge', 'straight'\), got 'epoch'"),
        ({"relax_below": 1.5}, "relax_below: expected a share"),
        ({"relax_below": -0.1}, "relax_below: expected a share"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        RehearsalPlan(**settings)


# Memory iterations


@pytest.mark.parametrize(("ratio", "elapsed", "iterations"), [(1.0, 5, 5), (2.0, 3, 6), (0.5, 30, 15), (0.2, 8, 2)])
def test_memory_iterations_follow_the_iterations_that_passed(ratio, elapsed, iterations):
    assert RehearsalPlan(ratio).memory_iterations(elapsed, 99, True) == iterations


def test_a_merge_has_a_memory_iteration_at_least_unless_it_is_to_have_none():
    assert [RehearsalPlan(0.2).memory_iterations(n, n, False) for n in (1, 2, 8)] == [1, 1, 2]
    assert RehearsalPlan(0.0).memory_iterations(8, 8, False) == 0


def test_memory_iterations_can_be_as_many_at_every_merge():
    assert [RehearsalPlan(4, "merge").memory_iterations(n, n, False) for n in (1, 100)] == [4, 4]


def test_those_of_the_published_code_are_the_whole_part_of_the_interval_in_force():
    plan = RehearsalPlan(6 / 8, "planned")
    assert plan.memory_iterations(16, 8, False) == 6
    assert plan.memory_iterations(5, 5, True) == 3  # 5 * 6 / 8 = 3.75
    assert RehearsalPlan(2 / 8, "planned").memory_iterations(2, 2, True) == 0


@pytest.mark.parametrize(("interval", "memory"), [(49, 1), (8, 5), (24, 7), (93, 29)])
def test_the_first_interval_has_exactly_the_memory_iterations_that_its_ratio_was_made_of(interval, memory):
    assert RehearsalPlan(memory / interval, "planned").memory_iterations(interval, interval, False) == memory


def test_without_a_planned_interval_those_that_passed_count():
    assert RehearsalPlan(0.5, "planned").memory_iterations(30, None, False) == 15


@pytest.mark.parametrize(("straight", "iterations"), [(0.0, 3), (0.2, 3), (0.6, 6), (1.0, 10)])
def test_a_straight_path_is_rehearsed_as_long_as_it_is_straight(straight, iterations):
    assert RehearsalPlan(0.3, "straight").memory_iterations(10, None, False, straight) == iterations
