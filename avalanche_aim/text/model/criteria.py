"""Criteria that are not the language model's own: said, or stopped."""

import warnings
from typing import Any

from torch import Tensor, nn


def check_criterion(criterion: Any) -> None:
    """Warn of a criterion that takes log-probabilities for something else."""
    if type(criterion) is nn.NLLLoss and criterion.reduction == "mean" and criterion.weight is None:
        return
    if isinstance(criterion, nn.Module) and type(criterion).__module__.startswith("torch.nn"):
        warnings.warn(
            f"criterion: expected the language model's own (criterion=model.criterion, NLLLoss), got {criterion}: the "
            "model's output are log-probabilities, so this trains something else than the language-modelling loss",
            stacklevel=3,
        )


def only_gold(target: Tensor) -> Any:
    """Return a gradient hook that refuses gradients of scores that were not computed.

    :param target: the gold classes, shape (B,).
    """

    def check(gradient: Tensor) -> None:
        others = gradient.scatter(1, target[:, None], 0.0)
        if bool((others != 0).any()):  # true for NaN as well
            raise ValueError(
                "a criterion or plugin read the scores of labels other than the gold one, which are not computed in "
                "training; use criterion=model.criterion, and for plugins that need all labels (LwF, MAS, DER, ER-ACE) "
                "make the model with score_all_labels=True"
            )

    return check
