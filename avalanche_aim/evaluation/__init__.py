"""Scores of answers, the R matrix and its metrics, and Avalanche metric plugins for them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
