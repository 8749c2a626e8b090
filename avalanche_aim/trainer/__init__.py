"""The method in a ``Trainer`` of Transformers, and in TRL's."""

from .callback import AIMCallback

__all__ = ["AIMCallback"]
