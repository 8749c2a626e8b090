"""Scores of answers, the R matrix and its metrics, and Avalanche metric plugins for them."""

from .metrics import ExactMatch, LabelAccuracy, ResultMatrix, text_metrics
from .scores import exact_match, normalise
from .transfer import (
    DEFINITIONS,
    backward_transfer,
    forgetting,
    overall_performance,
    result_matrix,
    summary,
)

__all__ = [
    "DEFINITIONS",
    "ExactMatch",
    "LabelAccuracy",
    "ResultMatrix",
    "backward_transfer",
    "exact_match",
    "forgetting",
    "normalise",
    "overall_performance",
    "result_matrix",
    "summary",
    "text_metrics",
]
