from .batch_scores import BatchScores
from .metrics import ExactMatch, LabelAccuracy, ResultMatrix, TaskScore, text_metrics
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
    "BatchScores",
    "ExactMatch",
    "LabelAccuracy",
    "ResultMatrix",
    "TaskScore",
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
