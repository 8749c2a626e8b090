"""The learning signal and the forgetting signal."""

import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from views import merged, observed

from avalanche_aim.merging import (
    PRESETS,
    Activations,
    FixedInterval,
    FixedWeights,
    ForgettingSignal,
    GradientAngle,
    LearningSignal,
    MergeController,
    Observation,
)

LOSSES = st.lists(st.floats(0, 10), max_size=40)


def learning(*values: float, window: int | None = None) -> LearningSignal:
    signal = LearningSignal(window)
    for value in values:
        signal.update(merged(value, 1))
    return signal


def forgetting(preset: str, interval: int | None) -> ForgettingSignal:
    signal = PRESETS[preset].make("forgetting")
    signal.start(interval)
    return signal


def collected_before_threshold(signal: ForgettingSignal) -> int:
    count = 0
    while signal.threshold is None:
        signal.update(observed(1.0))
        count += 1
    return count


def test_the_learning_signal_is_the_movement_per_iteration():
    assert LearningSignal().update(merged(12.0, 8)) == 1.5


def test_the_movement_is_divided_by_the_interval_in_force_where_the_published_code_does_so():
    assert LearningSignal(None, "planned").update(merged(16.0, elapsed=16, interval=8)) == 2.0
    assert LearningSignal(None, "planned").update(merged(16.0, elapsed=16, interval=None)) == 1.0


def test_an_unknown_divisor_is_refused():
    with pytest.raises(ValueError, match="divided_by: expected 'passed' or 'planned', got 'due'"):
        LearningSignal(5, "due")


def test_the_window_keeps_the_last_signals_oldest_first():
    assert learning(1, 2, 3, 4, 5, 6, 7, window=5).values == [3, 4, 5, 6, 7]


def test_without_a_window_all_signals_are_kept():
    assert learning(*range(50)).values == list(range(50))


def test_a_pair_that_rises_is_upward_and_one_that_falls_downward():
    signal = learning(1, 3, 2, 5)
    assert (signal.upward, signal.downward) == (2, 1)


def test_a_pair_of_equal_signals_is_upward():
    signal = learning(2, 2, 2)
    assert (signal.upward, signal.downward) == (2, 0)


def test_the_share_counts_only_pairs_inside_the_window():
    assert learning(1, 2, 3, 2, 1, window=3).share_upward == 0.0
    assert learning(1, 2, 3, 2, 1).share_upward == 0.5


@pytest.mark.parametrize("values", [(), (1.0,)])
def test_without_a_pair_the_share_speaks_for_neither_side(values):
    signal = learning(*values)
    assert (signal.upward, signal.downward, signal.share_upward) == (0, 0, 0.5)


def test_a_new_experience_forgets_all_learning_signals():
    signal = learning(1, 2, 3)
    signal.start()
    assert signal.values == []


@pytest.mark.parametrize("window", [1, 0, -3])
def test_a_window_without_a_pair_is_refused(window):
    with pytest.raises(ValueError, match=rf"window: expected at least 2 .* got {window}"):
        LearningSignal(window)


@given(st.lists(st.floats(0, 1e6)), st.integers(2, 8))
def test_every_pair_in_the_window_is_either_upward_or_downward(values, window):
    signal = learning(*values, window=window)
    assert len(signal.values) == min(len(values), window)
    assert signal.upward + signal.downward == max(0, len(signal.values) - 1)
    assert 0 <= signal.share_upward <= 1


@pytest.mark.parametrize(("preset", "extra"), [("paper", 0), ("reference", 1)])
def test_the_number_of_collected_losses_is_exact_for_every_interval(preset, extra):
    for interval in range(1, 301):
        signal = forgetting(preset, interval)
        assert collected_before_threshold(signal) == max(1, 2 * interval // 3 + extra), interval


@pytest.mark.parametrize("share", [Fraction(2, 3), Fraction(29, 100), Fraction(57, 100)])
def test_a_share_given_as_a_float_is_as_exact_as_a_fraction(share):
    for interval in range(4, 301):
        signal = ForgettingSignal(collected_share=float(share))
        signal.start(interval)
        assert collected_before_threshold(signal) == int(share * interval), interval  # int(0.29 * 100) would be 28


@pytest.mark.parametrize(("preset", "losses"), [("paper", [1, 2, 3, 4, 5]), ("reference", [1, 2, 3, 4, 5, 9])])
def test_the_threshold_is_the_factor_times_the_mean_of_the_collected_losses(preset, losses):
    signal = forgetting(preset, 8)  # floor(2/3 * 8) = 5
    statuses = [signal.update(observed(loss)) for loss in losses]
    assert statuses == ["collecting"] * len(losses)
    assert signal.threshold == pytest.approx(2.0 * sum(losses) / len(losses))


def test_below_the_floor_no_loss_is_an_activation():
    signal = ForgettingSignal(2.0, floor=0.5)
    signal.start(3)
    assert [signal.update(observed(loss)) for loss in (0.01, 0.01, 0.4, 0.5)] == ["collecting"] * 2 + [
        "quiet",
        "active",
    ]


def test_above_the_floor_the_threshold_is_what_it_is_without():
    signal = ForgettingSignal(2.0, floor=0.5)
    signal.start(3)
    for loss in (1.0, 2.0):
        signal.update(observed(loss))
    assert signal.threshold == 3.0


@pytest.mark.parametrize("floor", [-0.1, float("inf"), float("nan")])
def test_a_floor_that_is_no_loss_is_refused(floor):
    with pytest.raises(ValueError, match="floor: expected a loss of 0 or more"):
        ForgettingSignal(floor=floor)


def test_later_losses_leave_the_threshold_alone():
    signal = forgetting("paper", 3)
    for loss in (1.0, 3.0, 100.0, 0.0):
        signal.update(observed(loss))
    assert signal.threshold == 4.0


def test_a_loss_equal_to_the_threshold_is_an_activation():
    signal = forgetting("paper", 3)
    signal.update(observed(1.0)), signal.update(observed(1.0))
    assert signal.update(observed(2.0)) == "active"
    assert signal.activations == 1


def test_a_loss_below_the_threshold_is_quiet():
    signal = forgetting("paper", 3)
    signal.update(observed(1.0)), signal.update(observed(1.0))
    assert signal.update(observed(1.9999999)) == "quiet"
    assert signal.activations == 0


def test_the_loss_that_completes_the_threshold_is_not_compared_with_it():
    signal = ForgettingSignal(factor=0.5)
    signal.start(1)
    assert signal.update(observed(4.0)) == "collecting"
    assert (signal.threshold, signal.activations, signal.compared) == (2.0, 0, 0)


def test_the_share_of_activations_is_among_the_compared_iterations_only():
    signal = forgetting("paper", 3)
    for loss in (1.0, 1.0, 5.0, 0.0, 0.0, 5.0):
        signal.update(observed(loss))
    assert signal.share_active == 0.5


def test_the_share_of_activations_is_zero_before_any_comparison():
    assert forgetting("paper", 8).share_active == 0.0


def test_a_forced_activation_counts_and_says_so():
    signal = forgetting("reference", 3)
    signal.force()
    assert (signal.activations, signal.status) == (1, "forced")


def test_a_signal_of_ones_own_counts_what_it_observes():
    class Conflict(Activations):
        def update(self, observation):
            return self.count(observation.gradient_cosine < 0)

    signal = Conflict()
    assert [signal.update(observed(1.0, gradient_cosine=cosine)) for cosine in (0.5, -0.5)] == ["quiet", "active"]
    assert (signal.activations, signal.share_active) == (1, 0.5)


def test_without_a_planned_interval_there_is_never_a_threshold():
    signal = forgetting("paper", None)
    assert {signal.update(observed(1e9)) for _ in range(500)} == {"collecting"}
    assert signal.threshold is None


def test_a_new_interval_starts_the_forgetting_signal_anew():
    signal = forgetting("paper", 3)
    for loss in (1.0, 1.0, 5.0):
        signal.update(observed(loss))
    signal.start(6)
    assert signal.state_dict() == forgetting("paper", 6).state_dict()


@pytest.mark.parametrize("factor", [0, -1.0, float("nan")])
def test_a_factor_that_is_not_positive_is_refused(factor):
    with pytest.raises(ValueError, match="factor: expected a positive multiple"):
        ForgettingSignal(factor)


@pytest.mark.parametrize("share", [0, -0.5, 1.5])
def test_a_collected_share_outside_its_range_is_refused(share):
    with pytest.raises(ValueError, match=r"collected_share: expected a share in \(0, 1\]"):
        ForgettingSignal(collected_share=share)


@given(LOSSES, LOSSES)
def test_a_restored_forgetting_signal_goes_on_identically(before, after):
    signal, restored = forgetting("reference", 12), ForgettingSignal(extra_losses=1)
    for loss in before:
        signal.update(observed(loss))
    restored.load_state_dict(json.loads(json.dumps(signal.state_dict())))
    assert [signal.update(observed(loss)) for loss in after] == [restored.update(observed(loss)) for loss in after]
    assert signal.state_dict() == restored.state_dict()


@given(LOSSES, LOSSES)
def test_a_restored_learning_signal_goes_on_identically(before, after):
    signal, restored = learning(*before, window=5), LearningSignal(5)
    restored.load_state_dict(json.loads(json.dumps(signal.state_dict())))
    for value in after:
        assert signal.update(merged(value, 3)) == restored.update(merged(value, 3))
    assert signal.state_dict() == restored.state_dict()


def test_a_saved_state_is_not_changed_by_going_on():
    signal = learning(1, 2)
    state = signal.state_dict()
    signal.update(merged(3, 1))
    assert state == {"values": [1, 2]}


@pytest.mark.parametrize(
    "signal", [LearningSignal(), ForgettingSignal(), GradientAngle()], ids=lambda s: type(s).__name__
)
@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_a_state_with_wrong_names_is_refused(signal, change):
    state = signal.state_dict()
    if change == "missing":
        state.pop(next(iter(state)))
    else:
        state["surplus"] = 1
    with pytest.raises(ValueError, match=f"{type(signal).__name__} expected the state"):
        signal.load_state_dict(state)


# Signals that need no historical loss


def test_no_historical_loss_is_taken_for_a_signal_that_reads_none():
    signal = GradientAngle()
    controller = MergeController(FixedInterval(3), FixedWeights(), LearningSignal(), signal)
    controller.start()
    for _ in range(6):
        assert not controller.watch()
        if controller.observe(rehearsed_cosine=-1.0):
            controller.merge(1.0, "interval")
    assert controller.merges == 2
    assert signal.activations == 0


def angle(*cosines: float, window: int = 5) -> GradientAngle:
    """Let a task pass with a merge every two iterations, each with one of these cosines."""
    signal = GradientAngle(window=window)
    for iteration in range(1, 2 * len(cosines) + 2):
        elapsed = 1 + (iteration - 1) % 2
        measures = {"rehearsed_cosine": cosines[iteration // 2 - 1]} if iteration > 1 and elapsed == 1 else {}
        signal.update(Observation(1, iteration, elapsed, None, signal, **measures))
    return signal


def test_conflict_is_the_share_of_merges_whose_gradients_pointed_against_each_other():
    assert angle(0.5, -0.5, -0.1, 0.0).share_active == 0.5
    assert angle(0.5, -0.5, -0.1, 0.0, window=2).share_active == 0.5
    assert angle(0.5, -0.5, -0.1, window=2).share_active == 1.0


def test_before_any_merge_there_is_no_conflict_and_a_new_task_begins_without():
    signal = angle(-1.0, -1.0)
    assert (GradientAngle().share_active, signal.share_active, signal.status) == (0.0, 1.0, "active")
    signal.update(Observation(2, 1, 1, None, signal))
    assert (signal.share_active, signal.status) == (0.0, "quiet")


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"bound": 1.5}, r"bound: expected a cosine in \[-1, 1\], got 1.5"), ({"window": 0}, "window: expected 1 merge")],
)
def test_an_angle_out_of_range_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        GradientAngle(**settings)
