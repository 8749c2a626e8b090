"""Strategies that differ in their settings alone."""

MERGING = (
    "aim",
    "aim-paper",
    "aim-settled",
    "aim-reference",
    "aim-economical",
    "aim-replay",
    "fixed-interval",
    "random-interval",
    "single-merge",
)
"""AIM, the default first, and its controls."""
