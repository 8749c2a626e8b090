"""How task vectors become weights, one file a rule.

A rule is a function of (θ_prev, τ_new, τ_past, coefficients): lists with one tensor, or one pair (α₁, α₂), for each
trainable weight. It gives the merged weights one after another, as a generator or a list, and they are written in place
by :func:`merge_`.
"""

from collections.abc import Callable
from typing import Any

from .dare import Dare
from .interpolate import interpolate
from .rule import Rule, merge_
from .ties import Ties

RULES: dict[str, Callable[..., Any]] = {"interpolate": lambda: interpolate, "ties": Ties, "dare": Dare}
"""Name → what makes the rule from its settings."""

__all__ = ["RULES", "Dare", "Rule", "Ties", "interpolate", "merge_"]
