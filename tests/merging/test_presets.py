"""The presets: the numbers of the paper and of the published code."""

import pytest

from avalanche_aim.merging import PRESETS, preset


def test_the_presets_are_the_two_readings_and_a_cheaper_one():
    assert set(PRESETS) == {"paper", "reference", "economical"}


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


@pytest.mark.parametrize("name", ["paper", "reference"])
def test_every_use_of_a_preset_makes_a_schedule_of_its_own(name):
    assert preset(name).schedule() is not preset(name).schedule()


def test_an_unknown_preset_is_refused_with_the_known_names():
    with pytest.raises(
        ValueError, match=r"preset: expected one of \['economical', 'paper', 'reference'\], got 'papre'"
    ):
        preset("papre")
