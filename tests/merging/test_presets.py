"""The presets: the numbers of the paper and of the published code."""

import pytest

from avalanche_aim.merging import preset


def test_the_paper_preset_has_the_papers_numbers():
    controller = preset("paper").controller()
    schedule = controller.schedule
    assert (schedule.initial, schedule.minimum, schedule.maximum) == (8, 2, 128)
    assert (schedule.cold_start, schedule.patience, controller.plan.ratio) == (3, 3, 1.0)
    assert (controller.forgetting.factor, controller.forgetting.extra_losses) == (2.0, 0)


def test_the_reference_preset_has_the_published_codes_numbers():
    controller, rehearsal = preset("reference").controller(), preset("reference").rehearsal
    schedule = controller.schedule
    assert (schedule.initial, schedule.minimum, schedule.maximum) == (8, 2, 128)
    assert (schedule.cold_start, schedule.patience, schedule.halve_from) == (3, 3, 64)
    assert (schedule.growth_below, schedule.growth_above) == (1.0, 0.5)
    assert (controller.learning.window, controller.forgetting.extra_losses) == (None, 1)
    assert controller.plan.memory_iterations(16, 8, False) == 8
    assert (rehearsal["optimizer"], rehearsal["max_grad_norm"], rehearsal["monitor"]) == ("shared", 1.0, "train")


def test_the_settled_preset_leaves_nothing_unmerged_and_watches_no_loss():
    controller = preset("settled").controller()
    assert controller.schedule.merges_at_end and not controller.watch()
    assert controller.observe() is None and controller.forgetting.share_active == 0


def test_a_controller_takes_changes_to_the_presets_parts():
    controller = preset("reference").controller(schedule={"initial": 24}, forgetting={"factor": 1.2})
    assert (controller.schedule.initial, controller.forgetting.factor) == (24, 1.2)


def test_a_controller_has_no_other_parts():
    with pytest.raises(ValueError, match=r"expected parts of a controller, got \['rule'\]"):
        preset("paper").controller(rule="ties")


@pytest.mark.parametrize("name", ["paper", "reference"])
def test_every_use_of_a_preset_makes_a_schedule_of_its_own(name):
    assert preset(name).make("schedule") is not preset(name).make("schedule")


def test_an_unknown_preset_is_refused_with_the_known_names():
    with pytest.raises(ValueError, match=r"preset: expected one of \['angle', .*'paper', .*\], got 'papre'"):
        preset("papre")


@pytest.mark.parametrize(("name", "iterations"), [("thirds", [12, 12]), ("lean", [4, 4]), ("straight", [4, 7])])
def test_what_merges_at_thirds_rehearses(name, iterations):
    controller = preset(name).controller()
    controller.start()
    due = []
    for iteration, straight in zip(range(1, 37), [0.0] * 12 + [0.6] * 24, strict=True):
        progress = iteration / 36
        if (reason := controller.observe(progress=progress)) is not None:
            alpha = (1 + straight**2) / 2 if name == "straight" else 0.5
            decision = controller.merge(1.0, reason, progress=progress, straightness=straight)
            assert (decision.alpha_new, decision.alpha_past) == (alpha, alpha)
            due.append((iteration, decision.memory_iterations))
    assert due == [(12, iterations[0]), (24, iterations[1])]
    assert controller.schedule.merges_at_end
