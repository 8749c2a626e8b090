"""TIES-Merging: trim, elect signs, merge what agrees."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..task_vectors import local, precise, total
from ..weights import Pair


@dataclass(frozen=True)
class Ties:
    """θ = θ_prev + scale · τ, τ the disjoint mean of the trimmed task vectors.

    1. Trim: of each task vector the ``density`` of largest magnitude stays, over all weights together; the rest is 0.
    2. Elect: the sign of each number is that of α₁·τ̂_new + α₂·τ̂_past.
    3. Merge: τ is the mean, weighted by α₁ and α₂, of those that have the elected sign; trimmed ones do not count.

    Source: Yadav et al. 2023, arXiv 2306.01708. For each vector the magnitudes of all weights are held while its
    threshold is found: one more copy of the weights (or of this process's shards), for that moment.

    :param density: the share of a task vector that stays (0.2 in the paper).
    :param scale: λ, which the merged task vector is multiplied by (1 in the paper, where nothing is tuned).
    :raises ValueError: for a density outside (0, 1].
    """

    density: float = 0.2
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.density <= 1:
            raise ValueError(f"density: expected a share in (0, 1], got {self.density}")

    def __call__(
        self,
        theta_prev: Sequence[Tensor],
        tau_new: Sequence[Tensor],
        tau_past: Sequence[Tensor],
        coefficients: Sequence[Pair],
    ) -> Iterator[Tensor]:
        """Give the merged weights; see :class:`~avalanche_aim.merging.rules.Rule`."""
        thresholds = [_magnitude(vector, self.density) for vector in (tau_new, tau_past)]
        for previous, *vectors, pair in zip(theta_prev, tau_new, tau_past, coefficients, strict=True):
            trimmed = [v * (v.abs() >= t.to(v.device)) for v, t in zip(vectors, thresholds, strict=True)]
            elected = sum(alpha * v for alpha, v in zip(pair, trimmed, strict=True)).sign()  # type: ignore[union-attr]
            total = share = torch.zeros_like(trimmed[0])
            for alpha, vector in zip(pair, trimmed, strict=True):
                agrees = (vector.sign() == elected) & (vector != 0)
                total = total + alpha * vector * agrees
                share = share + alpha * agrees
            yield precise(previous) + self.scale * torch.where(share > 0, total / share, 0.0)


def _magnitude(vector: Sequence[Tensor], density: float) -> Tensor:
    """The smallest magnitude that stays.

    Found by bisection, which only counts, so that shards of weights stay where they are. Floating-point numbers of 0
    or more are in the order of their bits as integers.
    """
    of = list(vector)
    magnitudes = [tensor.abs() for tensor in local(of)]
    size = sum(tensor.numel() for tensor in of)
    stay = max(1, round(density * size))
    dtype = magnitudes[0].dtype
    bits = torch.int64 if dtype is torch.float64 else torch.int32
    low = torch.zeros((), dtype=bits, device=magnitudes[0].device)
    high = torch.tensor(torch.inf, dtype=dtype, device=low.device).view(bits)
    for _ in range(torch.iinfo(bits).bits - 1):
        middle = low + (high - low + 1) // 2
        threshold = middle.view(dtype)
        counts = [(magnitude >= threshold.to(magnitude.device)).sum() for magnitude in magnitudes]
        enough = total(counts, of) >= stay
        low, high = torch.where(enough, middle, low), torch.where(enough, high, middle - 1)
    return low.view(dtype)
