"""SLAO: one LoRA, whose A of a new task begins orthogonal and whose B is averaged over tasks."""

from typing import Any

import torch
from torch import Tensor

from .evaluated import ChosenWeights, EvaluatedWeights, trainable


class SLAO(EvaluatedWeights, supports_distributed=True):  # type: ignore[call-arg]
    """Merges the LoRA of each task into one, without data.

    A of task i > 1 begins as Qᵀ of the QR decomposition Aᵀ = QR of the last task's A, the signs chosen so that the
    diagonal of R is positive; B begins as the last task left it. Evaluated are A as trained, and
    B_merged += i^(−½) · (B − B_merged). Trainable weights beside LoRA are left alone. Source: arXiv 2512.23017, in a
    third party's note; whether B begins from the trained one, as here, or from the merged one could not be checked.
    """

    STATE = (*EvaluatedWeights.STATE, "task")

    def __init__(self) -> None:
        self.slow: ChosenWeights
        super().__init__(ChosenWeights())
        self.task = 0

    @torch.no_grad()
    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Make the A of a new task orthogonal.

        :raises ValueError: for a model without LoRA.
        """
        super().before_training_exp(strategy)
        self.task += 1
        for name, weight in _lora(strategy.model).items():
            if self.task > 1 and "lora_A" in name:
                weight.copy_(orthogonal_rows(weight))

    @torch.no_grad()
    def after_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        merged = {name: weight.detach().clone() for name, weight in _lora(strategy.model).items()}
        for name, before in self.slow.average.items():
            if "lora_B" in name:
                merged[name] = before + self.task**-0.5 * (merged[name] - before)
        self.slow.choose(merged)


def _lora(model: Any) -> dict[str, Tensor]:
    named = trainable(model)
    parts = {name: weight for name, weight in named.items() if "lora_A" in name or "lora_B" in name}
    if not parts:
        raise ValueError(
            f"slao: expected a model with trainable LoRA weights (lora_A, lora_B), got {type(model).__name__} with "
            f"{', '.join(list(named)[:3]) or 'none'}; add LoRA, or leave slao out"
        )
    return parts


def orthogonal_rows(a: Tensor) -> Tensor:
    """Return Qᵀ of aᵀ = QR with a positive diagonal of R: orthonormal rows, shape (r, d) as ``a``.

    :param a: shape (r, d), r ≤ d.
    """
    q, r = torch.linalg.qr(a.T.float())
    return (q * torch.where(r.diagonal() < 0, -1.0, 1.0)).T.to(a.dtype)
