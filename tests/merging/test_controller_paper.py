"""The merge controller as in the paper, in scenarios that were worked out by hand."""

import pytest
from controllers import ACTIVE, QUIET, intervals, run_until_merge

from avalanche_aim.merging import AdaptiveInterval


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
