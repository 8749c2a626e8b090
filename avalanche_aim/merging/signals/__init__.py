"""The two signals of the method: how fast the weights move, and how much is being forgotten. One file a signal."""

from .angle import GradientAngle
from .forgetting import Activations, ForgettingSignal
from .learning import LearningSignal

FORGETTING: dict[str, type[Activations]] = {"loss": ForgettingSignal, "angle": GradientAngle}

__all__ = ["FORGETTING", "Activations", "ForgettingSignal", "GradientAngle", "LearningSignal"]
