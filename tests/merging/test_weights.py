"""The weights of a merge: from the signals, from the published code's table, fixed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from views import merged

from avalanche_aim.merging import (
    FixedWeights,
    ForgettingSignal,
    GroupedWeights,
    LearningSignal,
    ReferenceWeights,
    SignalWeights,
    StraightWeights,
)
from avalanche_aim.merging.weights import per_weight


def rising(upward: int, downward: int) -> LearningSignal:
    """Return a learning signal with that many upward and downward pairs."""
    signal = LearningSignal(None)
    steps = [1] * upward + [-1] * downward
    signal.values = [float(sum(steps[:i])) for i in range(len(steps) + 1)]
    return signal


def activated(activations: int, compared: int = 10) -> ForgettingSignal:
    signal = ForgettingSignal()
    signal.activations, signal.compared = activations, compared
    return signal


def merge(learning: LearningSignal, forgetting: ForgettingSignal, interval: int | None):
    return merged(learning=learning, forgetting=forgetting, interval=interval)


@pytest.mark.parametrize(
    ("upward", "downward", "activations", "alpha_new"),
    [
        (4, 0, 0, 0.6),  # rapid learning, nothing forgotten: the table's corner (0.6, 0.4)
        (0, 4, 10, 0.4),  # convergence, all forgotten: the corner (0.4, 0.6)
        (4, 0, 10, 0.5),
        (0, 4, 0, 0.5),
        (3, 1, 5, 0.525),  # 1/2 + 0.1 * (3/4 - 5/10)
    ],
)
def test_signal_weights_follow_the_shares(upward, downward, activations, alpha_new):
    alphas = SignalWeights()(merge(rising(upward, downward), activated(activations), 8))
    assert alphas == pytest.approx((alpha_new, 1 - alpha_new))


@pytest.mark.parametrize(("straight", "alpha"), [(0.0, 0.5), (0.6, 0.68), (1.0, 1.0)])
def test_straight_weights_keep_what_leads_on_and_average_what_does_not(straight, alpha):
    assert StraightWeights()(merged(straight=straight)) == pytest.approx((alpha, alpha))


def test_with_kappa_zero_both_sides_weigh_the_same():
    assert SignalWeights(kappa=0)(merge(rising(4, 0), activated(0), 8)) == (0.5, 0.5)


def test_with_kappa_one_half_the_full_range_is_spanned():
    weights = SignalWeights(kappa=0.5)
    assert weights(merge(rising(4, 0), activated(0), 8)) == (1.0, 0.0)
    assert weights(merge(rising(0, 4), activated(10), 8)) == (0.0, 1.0)


@given(
    st.floats(0, 0.5), st.integers(0, 9), st.integers(0, 9), st.integers(0, 30), st.integers(0, 20), st.integers(1, 99)
)
def test_signal_weights_sum_to_one_and_stay_within_kappa(kappa, upward, downward, activations, compared, interval):
    signals = rising(upward, downward), activated(activations, compared)
    alpha_new, alpha_past = SignalWeights(kappa)(merge(*signals, interval))
    assert alpha_new + alpha_past == pytest.approx(1)
    assert 0.5 - kappa <= alpha_new <= 0.5 + kappa


@given(st.integers(0, 8), st.integers(0, 9))
def test_signal_weights_grow_with_their_own_side(upward, activations):
    weights, downward = SignalWeights(), 9 - upward
    now = weights(merge(rising(upward, downward), activated(activations), 8))
    assert weights(merge(rising(upward + 1, downward - 1), activated(activations), 8))[0] > now[0]
    assert weights(merge(rising(upward, downward), activated(activations + 1), 8))[1] > now[1]


@pytest.mark.parametrize("kappa", [-0.1, 0.51, float("nan")])
def test_a_kappa_outside_its_range_is_refused(kappa):
    with pytest.raises(ValueError, match=r"kappa: expected a number in \[0, 0.5\]"):
        SignalWeights(kappa)


@pytest.mark.parametrize("interval", range(58, 74))
@pytest.mark.parametrize("activations", [0, 1, 2, 3])
def test_the_published_table_changes_above_one_activation_and_above_seventy(interval, activations):
    short = (0.5, 0.5) if activations > 1 else (0.6, 0.4)
    long = (0.4, 0.6) if activations > 1 else (0.5, 0.5)
    expected = short if interval <= 70 else long
    assert ReferenceWeights()(merge(rising(1, 0), activated(activations), interval)) == expected


@pytest.mark.parametrize(("activations", "expected"), [(1, (0.6, 0.4)), (2, (0.5, 0.5))])
def test_without_a_planned_interval_the_table_takes_it_as_short(activations, expected):
    assert ReferenceWeights()(merge(rising(1, 0), activated(activations), None)) == expected


def test_what_counts_as_long_is_a_parameter():
    assert ReferenceWeights(long_interval=10)(merge(rising(1, 0), activated(2), 11)) == (0.4, 0.6)


def test_fixed_weights_ignore_the_signals():
    weights = FixedWeights(0.9, 0.3)
    assert weights(merge(rising(4, 0), activated(0), 8)) == weights(merge(rising(0, 4), activated(9), 99)) == (0.9, 0.3)


NAMES = ("layers.0.lora_A", "layers.0.lora_B", "layers.1.lora_A", "head")


def test_groups_of_weights_have_coefficients_of_their_own():
    weights = GroupedWeights({"lora_A": (0.5, 0.5), r"layers\.0": (1, 0)}, others=(0.25, 0.75))
    assert weights(merged(names=NAMES)) == [(0.5, 0.5), (1.0, 0.0), (0.5, 0.5), (0.25, 0.75)]


def test_a_group_that_is_in_no_name_is_refused():
    with pytest.raises(ValueError, match=r"expression is found in a weight's name, got 'lora_C'; the names are layers"):
        GroupedWeights({"lora_C": (1, 0)})(merged(names=NAMES))


def test_a_group_needs_two_numbers():
    with pytest.raises(ValueError, match=r"weights: expected two numbers \(α₁, α₂\) for 'lora_A', got \(1,\)"):
        GroupedWeights({"lora_A": (1,)})


def test_one_pair_is_that_of_all_weights():
    assert per_weight((0.6, 0.4), 3) == [(0.6, 0.4)] * 3


def test_as_many_pairs_as_weights_are_taken_as_they_are():
    assert per_weight([(0.6, 0.4), (1, 0)], 2) == [(0.6, 0.4), (1.0, 0.0)]


@pytest.mark.parametrize("given", [(0.5,), [(0.5, 0.5)] * 2, [(0.5, 0.5), (1,), (0, 1)], ()])
def test_other_coefficients_are_refused(given):
    with pytest.raises(ValueError, match="one such pair for each of 3 weights"):
        per_weight(given, 3)
