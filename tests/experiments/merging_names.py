"""Strategies that differ in their settings alone."""

from avalanche_aim.merging import PRESETS

MERGING = (
    "aim",
    *(f"aim-{name}" for name in PRESETS),
    "aim-replay",
    "fixed-interval",
    "random-interval",
    "single-merge",
)
"""AIM, the default first, and its controls."""
