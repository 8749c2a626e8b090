"""Which iterations are monitored."""

import pytest

from avalanche_aim.merging import (
    AdaptiveInterval,
    ForgettingSignal,
    LearningSignal,
    MergeController,
    Monitoring,
    SignalWeights,
)


def controller(every=1, relax_below=0.0, interval=12, factor=2.0):
    chosen = MergeController(
        AdaptiveInterval(interval),
        SignalWeights(),
        LearningSignal(5),
        ForgettingSignal(factor),
        Monitoring(every, relax_below),
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
            reason = chosen.pass_by()
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
    chosen.watch(), chosen.pass_by()
    other.load_state_dict(chosen.state_dict())
    assert watched(other, [1.0] * 4) == watched(chosen, [1.0] * 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": 0}, "monitor_every: expected a whole number"),
        ({"every": 1.5}, "monitor_every: expected a whole number"),
        ({"relax_below": 1.5}, "relax_below: expected a share"),
        ({"relax_below": -0.1}, "relax_below: expected a share"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Monitoring(**settings)
