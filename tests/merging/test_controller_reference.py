"""The merge controller as in the published code, in scenarios that were worked out by hand."""

import pytest
from controllers import ACTIVE, QUIET, intervals, run_until_merge

from avalanche_aim.merging import PRESETS, ReferenceInterval


def test_reference_forces_a_merge_at_twice_the_interval(reference):
    decision = run_until_merge(reference, movement=16.0)
    assert (decision.reason, decision.interval, decision.elapsed, decision.activations) == ("forced", 8, 16, 1)
    assert decision.learning_signal == 2.0  # over the interval in force, not the 16 iterations that passed
    assert (decision.alpha_new, decision.alpha_past) == (0.6, 0.4)


def test_reference_merges_when_due_if_it_was_activated_earlier(reference):
    decision = run_until_merge(reference, [QUIET] * 6 + [ACTIVE, QUIET])
    assert (decision.reason, decision.elapsed, decision.activations) == ("waiting", 8, 1)


def test_reference_merges_at_the_first_activation_after_it_is_due(reference):
    decision = run_until_merge(reference, [QUIET] * 10 + [ACTIVE])
    assert (decision.reason, decision.elapsed, decision.activations) == ("activation", 11, 1)


def test_reference_weighs_two_activations_more_for_the_past(reference):
    decision = run_until_merge(reference, [QUIET] * 6 + [ACTIVE, ACTIVE])
    assert (decision.elapsed, decision.activations) == (8, 2)
    assert (decision.alpha_new, decision.alpha_past) == (0.5, 0.5)


def test_reference_merges_early_at_the_third_activation(controller_of):
    controller = controller_of("reference", ReferenceInterval(24))
    controller.start()
    decision = run_until_merge(controller, [QUIET] * 17 + [ACTIVE] * 3)
    assert (decision.reason, decision.elapsed, decision.interval) == ("activation", 20, 24)


def test_reference_counts_an_active_loss_at_twice_the_interval_once(controller_of):
    controller = controller_of("reference", ReferenceInterval(8))
    controller.start()
    decision = run_until_merge(controller, [QUIET] * 15 + [ACTIVE])
    assert (decision.reason, decision.elapsed, decision.activations) == ("activation", 16, 1)


def test_reference_collects_its_threshold_even_past_the_interval(controller_of):
    controller = controller_of("reference", ReferenceInterval(2))
    controller.start()
    assert [controller.observe(loss) for loss in (QUIET, QUIET, QUIET, ACTIVE)] == [None, None, None, "activation"]


def test_reference_shrinks_by_the_ratio_while_the_signal_rises(controller_of):
    # int(8 * 4/5) = 6, int(6 * 5/6) = 5 or less by rounding down, ...
    signals = [1, 1, 1, 1, 1.25, 2.5, 5]
    assert intervals(controller_of("reference"), signals) == [8, 8, 8, 8, 8, 6, 3]


def test_reference_grows_by_the_ratio_and_more_while_the_signal_falls(controller_of):
    signals = [16, 16, 16, 16, 8, 4, 2, 1]
    # factors: 2 + 1, 2 + 1, 2 + 0.5 from 64 on; 180 is clamped at 128
    assert intervals(controller_of("reference"), signals) == [8, 8, 8, 8, 8, 24, 72, 128]


def test_reference_keeps_the_interval_while_the_signal_is_flat(controller_of):
    assert intervals(controller_of("reference"), [1] * 8) == [8] * 8


def test_reference_clamps_at_the_minimum(controller_of):
    assert intervals(controller_of("reference"), [1, 1, 1, 1, 9, 99, 99]) == [8, 8, 8, 8, 8, 2, 2]


def test_reference_waits_for_the_cold_start(controller_of):
    assert intervals(controller_of("reference"), [1, 2, 4, 8, 16, 16]) == [8, 8, 8, 8, 8, 4]


def test_reference_keeps_a_fixed_interval_when_not_adaptive(controller_of):
    controller = controller_of("reference", ReferenceInterval(8, adaptive=False))
    assert intervals(controller, [1, 2, 4, 8, 16, 32, 64]) == [8] * 7


def test_reference_decides_weights_and_memory_iterations_with_the_interval_that_ends(controller_of):
    controller = controller_of("reference", ReferenceInterval(72))
    intervals(controller, [1] * 4)
    decision = run_until_merge(controller, movement=72.0)
    assert (decision.interval, decision.memory_iterations, decision.next_interval) == (72, 72, 36)
    assert (decision.alpha_new, decision.alpha_past) == (0.5, 0.5)  # one activation, above 70
    decision = run_until_merge(controller, movement=36.0)
    assert (decision.interval, decision.memory_iterations) == (36, 36)
    assert (decision.alpha_new, decision.alpha_past) == (0.6, 0.4)  # one activation, at most 70


@pytest.mark.parametrize(
    ("interval", "losses", "alphas"),
    [(70, 1, (0.6, 0.4)), (71, 1, (0.5, 0.5)), (70, 3, (0.5, 0.5)), (71, 3, (0.4, 0.6))],
)
def test_reference_weighs_long_intervals_differently(controller_of, interval, losses, alphas):
    controller = controller_of("reference", ReferenceInterval(interval))
    controller.start()
    decision = run_until_merge(controller, [QUIET] * 60 + [ACTIVE] * losses)
    assert (decision.activations, (decision.alpha_new, decision.alpha_past)) == (losses, alphas)


def test_reference_may_fine_tune_for_no_iterations():
    controller = PRESETS["reference"].controller(rehearsal={"ratio": 2 / 8})
    intervals(controller, [1, 1, 1, 1, 4])
    assert run_until_merge(controller).memory_iterations == 0
