"""The `reference` preset makes every decision that the published code was recorded to make."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from avalanche_aim.merging import PRESETS, MergeController

FOLDER = Path(os.environ.get("AIM_TRACES") or Path(__file__).parent / "traces")
TRACES = sorted(FOLDER.glob("*.json.gz"))
NONE = [pytest.param(None, id="none", marks=pytest.mark.skip(reason=f"no *.json.gz in {FOLDER}; set AIM_TRACES"))]

SCHEDULE_SETTINGS = {
    "initial_interval": "initial",
    "min_interval": "minimum",
    "max_interval": "maximum",
    "cold_start": "cold_start",
    "adaptive": "adaptive",
}
EVENTS = {"active": "activation", "forced": "forced"}


def controller_of(settings: dict[str, Any]) -> MergeController:
    schedule = {ours: settings[theirs] for theirs, ours in SCHEDULE_SETTINGS.items() if theirs in settings}
    forgetting = {"factor": settings["threshold_factor"]} if "threshold_factor" in settings else {}
    interval = schedule.get("initial", 8)
    ratio = settings.get("initial_memory_iterations", interval) / interval
    return PRESETS["reference"].controller(schedule=schedule, forgetting=forgetting, rehearsal={"ratio": ratio})


def memory_iterations(controller: MergeController) -> int:
    """Return how many memory iterations a merge now would have."""
    schedule = controller.schedule
    return controller.plan.memory_iterations(controller.elapsed, schedule.interval, schedule.adapted)


def change_factor(before: int, signals: list[float]) -> float:
    """Return what the published code divides or multiplies S by, from the last two signals (method.md)."""
    previous, current = signals[-2:]
    return current / previous if current >= previous else previous / current + (1 if before < 64 else 0.5)


def replay_merge(controller: MergeController, reason: str, recorded: dict[str, Any]) -> dict[str, Any]:
    """Merge, and return the decision under the names of the recording."""
    decision = controller.merge(recorded["delta_in_l1"], reason)
    schedule, signals = controller.schedule, controller.learning.values
    adapted = schedule.adaptive and len(signals) - 1 > schedule.cold_start
    return {
        "S_before": decision.interval,
        "S_after": decision.next_interval,
        "outer_iterations": decision.memory_iterations,
        "outer_iterations_after": memory_iterations(controller),
        "merge_threshold": pytest.approx(decision.threshold, rel=1e-6),
        "merge_flag": decision.activations,
        "trigger": decision.reason,
        "early": decision.elapsed < decision.interval,
        "weight_in": decision.alpha_new,
        "weight_out": decision.alpha_past,
        "total_abs_change": pytest.approx(decision.learning_signal, rel=1e-6),
        "adapted": adapted,
        "change_factor": pytest.approx(change_factor(decision.interval, signals), rel=1e-6) if adapted else None,
    }


def replay(settings: dict[str, Any], task: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Feed one task and yield (recorded, ours) for every row and every merge."""
    controller = controller_of(settings)
    controller.start()
    merges = iter(task["merges"])
    last_merge = 0
    for number, row in enumerate(task["steps"], start=1):
        schedule, forgetting = controller.schedule, controller.forgetting
        during = {
            "step": number,
            "history_loss": row["history_loss"],
            "S": schedule.interval,
            "outer_begin": last_merge + schedule.interval,
            "outer_iterations": memory_iterations(controller),
        }
        reason = controller.observe(row["history_loss"])
        threshold = forgetting.threshold
        during |= {
            "threshold": None if threshold is None else pytest.approx(threshold, rel=1e-6),
            "event": EVENTS.get(forgetting.status),
            "flag_after": forgetting.activations,
            "merged": reason is not None,
        }
        if reason is not None:
            recorded = next(merges)
            merge = replay_merge(controller, reason, recorded)
            # What a merge starts anew must not change what it reports.
            assert merge["merge_flag"] == during["flag_after"]
            last_merge = number
            yield recorded, merge | {"global_step": number, "delta_in_l1": recorded["delta_in_l1"]}
        yield row, during | {"S_next": schedule.interval, "outer_begin_next": last_merge + schedule.interval}
    assert next(merges, None) is None, "the recording has merges that ours did not make"


@pytest.mark.parametrize("path", TRACES or NONE, ids=lambda path: path.name.removesuffix(".json.gz"))
def test_the_reference_preset_decides_as_the_published_code_was_recorded_to(path: Path) -> None:
    with gzip.open(path, "rt") as file:
        trace = json.load(file)
    assert trace["tasks"], "an empty recording shows nothing"
    for task in trace["tasks"]:
        for recorded, ours in replay(trace["settings"], task):
            assert recorded == ours, task["task"]
