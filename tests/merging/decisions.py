"""A decision that tests of its record and of its diagnosis share."""

from avalanche_aim.merging import Merge

DECISION = Merge(
    reason="interval",
    interval=8,
    elapsed=8,
    learning_signal=0.25,
    upward=1,
    downward=2,
    threshold=1.5,
    activations=0,
    alpha_new=0.55,
    alpha_past=0.45,
    memory_iterations=8,
    next_interval=12,
    at_minimum=False,
)
