"""Checkpoints between any two iterations, and resuming from them to the same bits."""

from .folder import CheckpointFolder, Damaged
from .plugin import CheckpointPlugin, problem_with_strategy
from .signals import Terminated

__all__ = ["CheckpointFolder", "CheckpointPlugin", "Damaged", "Terminated", "problem_with_strategy"]
