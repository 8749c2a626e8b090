"""The merge controller: what holds for both presets and for every schedule."""

import json
from dataclasses import asdict

import pytest
from controllers import ACTIVE, QUIET, intervals, run_until_merge
from hypothesis import given
from hypothesis import strategies as st

from avalanche_aim.merging import AdaptiveInterval, FixedInterval, OncePerTask, RandomInterval, ReferenceInterval

BOTH = pytest.mark.parametrize("name", ["paper", "reference"])


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
    with pytest.raises(
        ValueError, match=r"expected the state of \['AdaptiveInterval', .*got that of \['ReferenceInterval'"
    ):
        paper.load_state_dict(reference.state_dict())
