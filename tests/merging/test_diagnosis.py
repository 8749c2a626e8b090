"""Oscillation and stagnation, in scenarios that were worked out by hand."""

import json
import math
from dataclasses import replace

import pytest
from decisions import DECISION

from avalanche_aim.merging import Diagnosis

HEALTHY = replace(DECISION, next_interval=8)
SHORTEST = replace(HEALTHY, next_interval=2, at_minimum=True)
PAST_DOMINATES = replace(HEALTHY, alpha_new=0.4, alpha_past=0.6)
KEPT = 0.6


def names(diagnosis, decision, kept=KEPT, losses=(1.0,)):
    """Return what is found at a merge after an interval with these training losses."""
    for loss in losses:
        diagnosis.observe(loss)
    return [finding.name for finding in diagnosis.update(decision, kept)]


def stagnating(levels, decision=PAST_DOMINATES, kept=KEPT, **settings):
    """Return at which of the merges, from 1, stagnation is found, when the intervals have these mean losses."""
    diagnosis = Diagnosis(**settings)
    found = [names(diagnosis, decision, kept, [level]) for level in levels]
    return [merge for merge, kinds in enumerate(found, start=1) if "stagnation" in kinds]


# Oscillation


def test_four_merges_in_a_row_at_the_minimum_are_an_oscillation():
    diagnosis = Diagnosis()
    assert [names(diagnosis, SHORTEST) for _ in range(5)] == [[], [], [], ["oscillation"], ["oscillation"]]


def test_a_longer_interval_in_between_starts_the_count_anew():
    diagnosis = Diagnosis()
    decisions = [SHORTEST] * 3 + [HEALTHY] + [SHORTEST] * 3
    assert [names(diagnosis, decision) for decision in decisions] == [[]] * 7


def test_a_new_experience_starts_the_count_anew():
    diagnosis = Diagnosis()
    for _ in range(3):
        names(diagnosis, SHORTEST)
    diagnosis.start()
    assert names(diagnosis, SHORTEST) == []


def test_weights_that_do_not_move_do_not_oscillate():
    diagnosis = Diagnosis()
    still = replace(SHORTEST, learning_signal=0.0)
    assert [names(diagnosis, still, None) for _ in range(8)] == [[]] * 8


def test_an_oscillation_says_what_was_seen_and_what_to_do():
    diagnosis = Diagnosis(merges=2)
    names(diagnosis, SHORTEST)
    (finding,) = diagnosis.update(SHORTEST, KEPT)
    assert finding.seen == "the interval was kept at its minimum of 2 at 2 merges in a row, the learning signal is 0.25"
    assert "raise the schedule's minimum, lower the learning rate" in finding.remedy


# Stagnation


def test_a_level_loss_under_a_dominating_past_is_a_stagnation():
    assert stagnating([1.0] * 9) == [8, 9]  # four intervals, and four to compare them with


def test_a_level_loss_under_merges_that_undo_the_new_task_is_a_stagnation():
    assert stagnating([1.0] * 9, HEALTHY, kept=0.29) == [8, 9]


@pytest.mark.parametrize("kept", [-0.5, 0.0])
def test_a_merge_that_keeps_nothing_or_goes_back_undoes_the_new_task(kept):
    assert stagnating([1.0] * 8, HEALTHY, kept) == [8]


@pytest.mark.parametrize("kept", [0.3, 1.0, None])
def test_a_level_loss_alone_is_no_stagnation(kept):
    assert stagnating([1.0] * 12, HEALTHY, kept) == []


def test_equal_weights_do_not_dominate():
    assert stagnating([1.0] * 12, replace(HEALTHY, alpha_new=0.5, alpha_past=0.5)) == []


def test_weights_that_never_move_stagnate_under_a_dominating_past():
    assert stagnating([1.0] * 8, replace(PAST_DOMINATES, learning_signal=0.0), kept=None) == [8]


def test_one_merge_that_keeps_the_new_task_starts_the_count_anew():
    diagnosis = Diagnosis()
    decisions = [PAST_DOMINATES] * 7 + [HEALTHY] + [PAST_DOMINATES] * 4
    found = [names(diagnosis, decision) for decision in decisions]
    assert found == [[]] * 11 + [["stagnation"]]


def test_a_rising_loss_is_a_stagnation():
    assert stagnating([1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7]) == [8]


def test_a_loss_that_falls_enough_is_no_stagnation():
    # 1 % an interval: medians of 0.985 and 0.945, a fall of 4 %
    assert stagnating([1.0, 0.99, 0.98, 0.97, 0.96, 0.95, 0.94, 0.93]) == []


def test_a_loss_that_falls_too_little_is_a_stagnation():
    # 0.2 % an interval: medians of 0.997 and 0.989, a fall of 0.8 %
    assert stagnating([1.0, 0.998, 0.996, 0.994, 0.992, 0.99, 0.988, 0.986]) == [8]
    assert stagnating([1.0, 0.998, 0.996, 0.994, 0.992, 0.99, 0.988, 0.986], least_fall=0.005) == []


def test_noise_on_a_falling_loss_makes_no_stagnation():
    # Falls by a tenth an interval and swings by a quarter: every second interval rises.
    levels = [10 * 0.9**n * (1.25 if n % 2 else 1.0) for n in range(7)]
    assert stagnating([*levels, levels[-1]]) == []


def test_noise_on_a_level_loss_does_not_hide_the_stagnation():
    # Every second interval falls by a third, and no four in a row fail to.
    assert stagnating([1.0, 1.5] * 4) == [8]


@pytest.mark.parametrize("place", range(8))
def test_one_spike_does_not_hide_the_stagnation(place):
    levels = [1.0] * 8
    levels[place] = 50.0
    assert stagnating(levels, learned=0.0) == [8]


@pytest.mark.parametrize("place", range(4, 8))
def test_one_spike_does_not_make_a_stagnation(place):
    levels = [1.0, 0.97, 0.94, 0.91, 0.85, 0.82, 0.79, 0.76]
    levels[place] = 50.0
    assert stagnating(levels) == []


def test_a_loss_that_stops_when_the_task_is_learned_is_no_stagnation():
    assert stagnating([2.0, 1.0, 0.5, 0.2] + [0.1] * 12) == []


def test_a_loss_that_stops_halfway_is_a_stagnation():
    # At the ninth merge the medians are 1.3 and 1.2, from the tenth on both are 1.2: more than half of 2.
    assert stagnating([2.0, 1.6, 1.4] + [1.2] * 8) == [10, 11]


def test_an_interval_counts_as_the_mean_of_its_losses():
    diagnosis = Diagnosis()
    # The means rise from 1 to 1.2; the first, the last, the lowest and the highest losses all fall.
    early, late = [5.0, 0.0, 0.0, -1.0], [1.4, 1.4, 3.2, -1.2]
    found = [names(diagnosis, PAST_DOMINATES, losses=losses) for losses in [early] * 4 + [late] * 4]
    assert found == [[]] * 7 + [["stagnation"]]


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_training_loss_that_is_not_finite_is_left_out(loss):
    diagnosis = Diagnosis()
    found = [names(diagnosis, PAST_DOMINATES, losses=[1.0, loss]) for _ in range(8)]
    assert found == [[]] * 7 + [["stagnation"]]


def test_an_interval_without_a_finite_loss_is_not_compared():
    diagnosis = Diagnosis()
    found = [names(diagnosis, PAST_DOMINATES, losses=[1.0] * (n != 2)) for n in range(9)]
    assert found == [[]] * 8 + [["stagnation"]]


def test_a_new_experience_compares_no_losses_of_the_old_one():
    diagnosis = Diagnosis()
    for _ in range(7):
        names(diagnosis, PAST_DOMINATES)
    diagnosis.observe(9.0)
    diagnosis.start()
    assert [names(diagnosis, PAST_DOMINATES) for _ in range(8)] == [[]] * 7 + [["stagnation"]]


def test_a_stagnation_says_what_was_seen_and_what_to_do():
    diagnosis = Diagnosis(merges=2)
    for level in (1.25, 1.25, 1.5):
        names(diagnosis, PAST_DOMINATES, losses=[level])
    diagnosis.observe(1.5)
    (finding,) = diagnosis.update(PAST_DOMINATES, 0.1)
    assert finding.seen == (
        "the training loss was 1.25 and is 1.5 (each over 2 intervals), while 4 merges in a row held the new task back "
        "(at this one α₂ = 0.6, 10% of τ_new was kept)"
    )
    assert finding.remedy.startswith("give τ_new more weight (weights=FixedWeights(0.6, 0.4))")


# Both


def test_both_can_be_found_at_one_merge():
    diagnosis = Diagnosis()
    both = replace(SHORTEST, alpha_new=0.4, alpha_past=0.6)
    found = [names(diagnosis, both) for _ in range(8)]
    assert found == [[]] * 3 + [["oscillation"]] * 4 + [["oscillation", "stagnation"]]


def test_fewer_merges_in_a_row_can_be_asked_for():
    diagnosis = Diagnosis(merges=2)
    both = replace(SHORTEST, alpha_new=0.4, alpha_past=0.6)
    found = [names(diagnosis, both) for _ in range(4)]
    assert found == [[], ["oscillation"], ["oscillation"], ["oscillation", "stagnation"]]


@pytest.mark.parametrize("cut", range(9))
def test_a_restored_diagnosis_goes_on_identically(cut):
    both = replace(SHORTEST, alpha_new=0.4, alpha_past=0.6)
    diagnosis, restored = Diagnosis(), Diagnosis()
    for _ in range(cut):
        names(diagnosis, both)
    diagnosis.observe(3.0)
    restored.load_state_dict(json.loads(json.dumps(diagnosis.state_dict())))
    for _ in range(9):
        assert names(diagnosis, both) == names(restored, both)
    assert diagnosis.state_dict() == restored.state_dict()


def test_a_state_with_a_missing_name_is_refused():
    state = Diagnosis().state_dict()
    del state["means"]
    with pytest.raises(ValueError, match="Diagnosis expected the state"):
        Diagnosis().load_state_dict(state)


def test_less_than_one_merge_is_refused():
    with pytest.raises(ValueError, match="merges: expected at least 1 merge in a row, got 0"):
        Diagnosis(merges=0)
