"""The two signals of the method: how fast the weights move, and how much is being forgotten. One file a signal."""

from .angle import GradientAngle
from .forgetting import Activations, ForgettingSignal, NoForgetting
from .learning import LearningSignal

FORGETTING: dict[str, type[Activations]] = {"loss": ForgettingSignal, "angle": GradientAngle, "none": NoForgetting}

__all__ = ["FORGETTING", "Activations", "ForgettingSignal", "GradientAngle", "LearningSignal", "NoForgetting"]
