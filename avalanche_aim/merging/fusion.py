"""Rehearsal-based fusion: task vectors and the in-place merge.

Source: arXiv 2509.17348, rehearsal-based fusion. ``weights`` is always the list of trainable tensors; frozen
weights and buffers never come here.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def snapshot(weights: Sequence[Tensor]) -> list[Tensor]:
    """Copy the weights.

    :param weights: the trainable tensors.
    :return: detached copies, in the same order.
    """
    return [w.detach().clone() for w in weights]


@torch.no_grad()
def restore_(weights: Sequence[Tensor], saved: Sequence[Tensor]) -> None:
    """Write saved copies back into the weights, in place.

    :param weights: the trainable tensors.
    :param saved: what :func:`snapshot` returned for them.
    """
    if saved:
        torch._foreach_copy_(list(weights), list(saved))


@torch.no_grad()
def movement(weights: Sequence[Tensor], previous: Sequence[Tensor]) -> float:
    """Σ_i |τ_i| of the task vector τ = weights − previous, summed over all tensors.

    :param weights: the trainable tensors now.
    :param previous: their copies from the previous merge.
    :return: the L1 length, as a Python float (one host synchronisation).
    """
    device = weights[0].device
    parts = [(_precise(w) - _precise(p)).abs_().sum().to(device) for w, p in zip(weights, previous, strict=True)]
    return float(sum(parts))


@torch.no_grad()
def merge_(
    weights: Sequence[Tensor],
    previous: Sequence[Tensor],
    trained: Sequence[Tensor],
    alpha_new: float,
    alpha_past: float,
) -> None:
    """θ ← θ_prev + α₁·τ_new + α₂·τ_past, in place.

    τ_new = θ_j − θ_prev is what training on the new task added, τ_past = θ_mem − θ_j what fine-tuning on the
    memory added after it. The sum is computed as θ_j + (α₁ − 1)·τ_new + α₂·τ_past, which is the same and
    leaves the weights unchanged to the bit for α₁ = 1 and τ_past = 0. Weights of half precision are merged in
    single precision, so that small task vectors are not rounded away before they are added.

    :param weights: the trainable tensors; they hold θ_mem and receive the result.
    :param previous: θ_prev, copies from the previous merge.
    :param trained: θ_j, copies from before the memory fine-tuning.
    :param alpha_new: α₁.
    :param alpha_past: α₂.
    """
    for w, p, t in zip(weights, previous, trained, strict=True):
        memory, start, end = _precise(w), _precise(p), _precise(t)
        w.copy_(end + (end - start) * (alpha_new - 1.0) + (memory - end) * alpha_past)


@torch.no_grad()
def kept_share(weights: Sequence[Tensor], previous: Sequence[Tensor], trained: Sequence[Tensor]) -> float | None:
    """How much of τ_new a merge kept: <θ − θ_prev, τ_new> / |τ_new|², the projection of what the merge moved.

    That is α₁ + α₂·<τ_past, τ_new> / |τ_new|²: what the weights promised to keep, less what the memory fine-tuning
    took back. 1 is all of τ_new, 0 none, negative a step against it. Comparing lengths, |θ − θ_prev| / |τ_new|, would
    not do, since a long τ_past across τ_new hides that τ_new is gone; nor would the cosine, which is 1 even where
    only a hundredth was kept. It needs no weights but those that the merge itself had.

    :param weights: the trainable tensors after the merge.
    :param previous: θ_prev.
    :param trained: θ_j.
    :return: the share, one host synchronisation; None where nothing had moved.
    """
    device = weights[0].device
    along = length = torch.zeros((), device=device)
    # One tensor at a time: differences of all of them would be two more copies of the weights.
    for w, p, t in zip(weights, previous, trained, strict=True):
        start = _precise(p)
        new, moved = _precise(t) - start, _precise(w) - start
        along = along + moved.mul_(new).sum().to(device)
        length = length + torch.linalg.vector_norm(new).to(device) ** 2
    share = float(along / length)
    return share if math.isfinite(share) else None


def _precise(tensor: Tensor) -> Tensor:
    """The tensor in single precision at least."""
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
