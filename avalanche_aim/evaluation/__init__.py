"""Scores of answers, the R matrix and its metrics, and Avalanche metric plugins for them."""

from .metrics import ExactMatch, LabelAccuracy, ResultMatrix, text_metrics
from .scores import SCORES, exact_match, normalise, rouge_l
from .transfer import (
    DEFINITIONS,
    backward_transfer,
    forgetting,
    forward_transfer,
    overall_performance,
    result_matrix,
    summary,
)

__all__ = [
    "DEFINITIONS",
    "SCORES",
    "ExactMatch",
    "LabelAccuracy",
    "ResultMatrix",
    "backward_transfer",
    "exact_match",
    "forgetting",
    "forward_transfer",
    "normalise",
    "overall_performance",
    "result_matrix",
    "rouge_l",
    "summary",
    "text_metrics",
]
