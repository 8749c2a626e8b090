"""The paper's rule: θ_prev + α₁·τ_new + α₂·τ_past."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from ..task_vectors import TaskVector, precise
from ..weights import Pair


def interpolate(
    theta_prev: Sequence[Tensor],
    tau_new: Sequence[Tensor],
    tau_past: Sequence[Tensor],
    coefficients: Sequence[Pair],
) -> Iterator[Tensor]:
    """θ = θ_prev + α₁·τ_new + α₂·τ_past. Source: arXiv 2509.17348, rehearsal-based fusion.

    The sum is computed as θ_j + (α₁ − 1)·τ_new + α₂·τ_past, θ_j = θ_prev + τ_new, which is the same and leaves the
    weights unchanged to the bit for α₁ = 1 and τ_past = 0.
    """
    for number, (alpha_new, alpha_past) in enumerate(coefficients):
        # θ_j itself where it is known: θ_prev + τ_new would round.
        if isinstance(tau_new, TaskVector):
            trained = precise(tau_new.end[number])
        else:
            trained = precise(theta_prev[number]) + tau_new[number]
        yield trained + tau_new[number] * (alpha_new - 1.0) + tau_past[number] * alpha_past
