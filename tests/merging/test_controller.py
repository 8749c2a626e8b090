"""The merge controller, in scenarios that were worked out by hand, for both presets."""

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avalanche_aim.merging import (
    PRESETS,
    AdaptiveInterval,
    FixedInterval,
    OncePerTask,
    RandomInterval,
    ReferenceInterval,
    preset,
)

QUIET, ACTIVE = 1.0, 2.0  # with factor 2 and a mean of 1 the threshold is 2
BOTH = pytest.mark.parametrize("name", ["paper", "reference"])


def run_until_merge(controller, losses=(), movement=1.0):
    """Feed the losses, then quiet ones, until a merge is due, and make it."""
    losses = list(losses)
    for _ in range(1000):
        reason = controller.observe(losses.pop(0) if losses else QUIET)
        if reason is not None:
            return controller.merge(movement, reason)
    raise AssertionError("no merge in 1000 iterations")


def intervals(controller, signals):
    """Merge once for each learning signal and return the planned interval before each merge."""
    controller.start()
    planned = []
    for signal in signals:
        interval = controller.schedule.interval
        planned.append(interval)
        # All merges here come after S (paper) or divide by S (reference), so that this gives the signal exactly.
        decision = run_until_merge(controller, movement=signal * interval)
        assert decision.learning_signal == signal
    return planned


@pytest.fixture
def paper(controller_of):
    controller = controller_of("paper")
    controller.start()
    return controller


@pytest.fixture
def reference(controller_of):
    controller = controller_of("reference")
    controller.start()
    return controller


# Presets


def test_the_paper_preset_has_the_papers_numbers():
    schedule = preset("paper").schedule()
    assert (schedule.initial, schedule.minimum, schedule.maximum) == (8, 2, 128)
    assert (schedule.cold_start, schedule.patience, schedule.memory_ratio) == (3, 3, 1.0)
    assert (preset("paper").threshold_factor, preset("paper").extra_losses) == (2.0, 0)


def test_the_reference_preset_has_the_published_codes_numbers():
    chosen, schedule = preset("reference"), preset("reference").schedule()
    assert (schedule.initial, schedule.initial_memory_iterations, schedule.minimum, schedule.maximum) == (8, 8, 2, 128)
    assert (schedule.cold_start, schedule.patience, schedule.halve_from) == (3, 3, 64)
    assert (schedule.growth_below, schedule.growth_above) == (1.0, 0.5)
    assert (chosen.window, chosen.extra_losses, chosen.memory_optimizer) == (None, 1, "shared")
    assert (chosen.max_grad_norm, chosen.monitor_mode) == (1.0, "train")


@BOTH
def test_every_use_of_a_preset_makes_a_schedule_of_its_own(name):
    assert preset(name).schedule() is not preset(name).schedule()


def test_an_unknown_preset_is_refused_with_the_known_names():
    with pytest.raises(
        ValueError, match=r"preset: expected one of \['economical', 'paper', 'reference'\], got 'papre'"
    ):
        preset("papre")


# The paper


def test_paper_merges_when_the_interval_has_passed(paper):
    decision = run_until_merge(paper, movement=16.0)
    assert (decision.reason, decision.interval, decision.elapsed) == ("interval", 8, 8)
    assert (decision.learning_signal, decision.memory_iterations, decision.next_interval) == (2.0, 8, 8)


def test_paper_shortens_the_interval_step_by_step_while_learning_is_rapid(controller_of):
    assert intervals(controller_of("paper"), range(1, 10)) == [8, 8, 8, 8, 5, 3, 2, 2, 2]


def test_paper_takes_a_flat_learning_signal_as_upward(controller_of):
    assert intervals(controller_of("paper"), [1] * 7) == [8, 8, 8, 8, 5, 3, 2]


def test_paper_lengthens_the_interval_step_by_step_while_learning_converges(controller_of):
    assert intervals(controller_of("paper"), range(20, 8, -1)) == [8, 8, 8, 8, 12, 18, 27, 41, 62, 93, 128, 128]


def test_paper_leaves_the_interval_on_a_tie(controller_of):
    # Three pairs after the fourth merge: two of them upward. From the fifth on, two against two.
    assert intervals(controller_of("paper"), [1, 2, 1, 2, 1, 2, 1, 2]) == [8, 8, 8, 8, 5, 5, 5, 5]


def test_paper_merges_early_at_the_third_activation(controller_of):
    controller = controller_of("paper", AdaptiveInterval(16))
    controller.start()
    decision = run_until_merge(controller, [QUIET] * 10 + [ACTIVE] * 3, movement=26.0)
    assert (decision.reason, decision.elapsed, decision.activations) == ("forgetting", 13, 3)
    assert decision.learning_signal == 2.0  # over the 13 iterations that passed
    assert decision.memory_iterations == 13


def test_paper_does_not_merge_early_on_two_activations(controller_of):
    controller = controller_of("paper", AdaptiveInterval(16))
    controller.start()
    decision = run_until_merge(controller, [QUIET] * 10 + [ACTIVE] * 2)
    assert (decision.reason, decision.elapsed, decision.activations) == ("interval", 16, 2)


def test_paper_weighs_the_merge_by_both_shares(paper):
    decision = run_until_merge(paper, [QUIET] * 7 + [ACTIVE])
    # No pair yet: P_new = 1/2. One of three compared iterations: P_past = 1/3.
    assert decision.alpha_new == pytest.approx(0.5 + 0.1 * (1 / 2 - 1 / 3))
    assert decision.alpha_new + decision.alpha_past == pytest.approx(1)


def test_paper_counts_the_pairs_of_the_window_with_this_merge(paper):
    pairs = [run_until_merge(paper, movement=m) for m in (8, 16, 8, 16)]
    assert [(d.upward, d.downward) for d in pairs] == [(0, 0), (1, 0), (1, 1), (2, 1)]


def test_paper_says_from_which_merge_on_it_chose_the_minimum(paper):
    # The intervals are 8, 8, 8, 8, 5, 3, 2, 2: the sixth merge is the first to choose 2.
    decisions = [run_until_merge(paper) for _ in range(8)]
    assert [decision.at_minimum for decision in decisions] == [False] * 5 + [True] * 3


# The published code


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


def test_reference_may_fine_tune_for_no_iterations(controller_of):
    controller = controller_of("reference", ReferenceInterval(8, initial_memory_iterations=2))
    intervals(controller, [1, 1, 1, 1, 4])
    assert run_until_merge(controller).memory_iterations == 0


# Both


@BOTH
def test_a_merge_starts_threshold_activations_and_count_anew(controller_of, name):
    controller = controller_of(name)
    controller.start()
    run_until_merge(controller, [QUIET] * 7 + [ACTIVE] * 2)
    assert (controller.elapsed, controller.forgetting.threshold, controller.forgetting.activations) == (0, None, 0)
    assert run_until_merge(controller, [10.0] * 30).threshold == 20.0


@BOTH
def test_a_merge_reports_the_threshold_of_the_interval_that_ended(controller_of, name):
    controller = controller_of(name)
    controller.start()
    assert run_until_merge(controller).threshold == 2.0


@BOTH
def test_a_new_experience_starts_everything_anew(controller_of, name):
    controller, fresh = controller_of(name), controller_of(name)
    intervals(controller, [1, 1, 1, 1, 4, 9])
    controller.observe(5.0)
    controller.start()
    fresh.start()
    assert controller.state_dict() == fresh.state_dict()


@BOTH
def test_a_skipped_iteration_passes_without_a_loss(controller_of, name):
    controller = controller_of(name)
    controller.start()
    controller.observe(QUIET)
    controller.skip()
    assert controller.elapsed == 2
    assert controller.forgetting.collected == [QUIET]


def test_a_merge_that_came_due_at_a_skipped_iteration_is_made_at_the_next(paper):
    for _ in range(7):
        assert paper.observe(QUIET) is None
    paper.skip()
    assert paper.observe(QUIET) == "interval"
    assert paper.merge(18.0, "interval").learning_signal == 2.0  # nine iterations passed


@BOTH
@given(losses=st.lists(st.floats(0, 5), max_size=60))
def test_decisions_stay_in_their_ranges_whatever_the_losses(controller_of, name, losses):
    controller = controller_of(name)
    controller.start()
    for number, loss in enumerate(losses):
        reason = controller.observe(loss)
        if reason:
            decision = controller.merge(float(number % 7), reason)
            assert 2 <= decision.next_interval <= 128
            assert 0.4 <= decision.alpha_new <= 0.6
            assert decision.alpha_new + decision.alpha_past == pytest.approx(1)
            assert decision.elapsed <= 2 * max(decision.interval, 2)


SCHEDULES = {
    "paper": lambda: AdaptiveInterval(4),
    "reference": lambda: ReferenceInterval(4),
    "fixed": lambda: FixedInterval(3),
    "random": lambda: RandomInterval(4, seed=5),
    "once": OncePerTask,
}


def replay(controller, losses, first=0):
    """Return every decision; the movement depends on the iteration's number, so that signals rise and fall."""
    decisions = []
    for number, loss in enumerate(losses, start=first):
        reason = controller.observe(loss)
        if reason:
            decisions.append(asdict(controller.merge(1.0 + number * 37 % 11, reason)))
    return decisions


@pytest.mark.parametrize("name", SCHEDULES)
@given(losses=st.lists(st.floats(0, 4), max_size=90), cut=st.integers(0, 90))
def test_a_restored_controller_goes_on_identically(controller_of, name, losses, cut):
    base = "reference" if name == "reference" else "paper"
    controller, restored = (controller_of(base, SCHEDULES[name]()) for _ in range(2))
    controller.start()
    replay(controller, losses[:cut])
    restored.load_state_dict(json.loads(json.dumps(controller.state_dict())))
    assert replay(controller, losses[cut:], cut) == replay(restored, losses[cut:], cut)
    assert controller.state_dict() == restored.state_dict()


@pytest.mark.parametrize("key", ["elapsed", "schedule", "learning", "forgetting"])
def test_a_state_with_a_missing_part_is_refused(paper, key):
    state = paper.state_dict()
    del state[key]
    with pytest.raises(ValueError, match="expected the state"):
        paper.load_state_dict(state)


def test_a_state_with_an_unknown_part_is_refused(paper):
    with pytest.raises(ValueError, match="expected the state"):
        paper.load_state_dict(paper.state_dict() | {"surplus": 1})


def test_a_state_of_another_preset_is_refused(paper, reference):
    with pytest.raises(ValueError, match="AdaptiveInterval expected the state"):
        paper.load_state_dict(reference.state_dict())


def test_the_presets_are_the_two_readings_and_a_cheaper_one():
    assert set(PRESETS) == {"paper", "reference", "economical"}
