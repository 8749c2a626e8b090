"""Every preset that there is, at work on runs of a few iterations."""

from typing import Any

from avalanche_aim.merging import PRESETS

SHORT: dict[str, dict[str, Any]] = {
    name: {"schedule": {"calibration": 2} if name == "model-time" else {"initial": 3}}
    for name, preset in PRESETS.items()
    if getattr(preset.make("schedule"), "initial", None) or name == "model-time"
}
"""Preset → what makes it merge in a short task; one that is not here needs no change."""
