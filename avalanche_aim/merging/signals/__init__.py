"""The two signals of the method: how fast the weights move, and how much is being forgotten. One file a signal."""

from .forgetting import Activations, ForgettingSignal
from .learning import LearningSignal

__all__ = ["Activations", "ForgettingSignal", "LearningSignal"]
