"""Task vectors, and what is measured of them.

``weights`` is always the list of trainable tensors; frozen weights and buffers never come here.
"""

import math
from collections.abc import Sequence
from typing import Any

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


class TaskVector(Sequence[Tensor]):
    """τ = end − start, one tensor for each weight, made when it is read: it holds no copy.

    Weights of half precision are subtracted in single precision, so that small differences are not rounded away.

    :param start: the weights before.
    :param end: the weights after.
    :raises ValueError: if there are more of the one than of the other.
    """

    def __init__(self, start: Sequence[Tensor], end: Sequence[Tensor]) -> None:
        if len(start) != len(end):
            raise ValueError(f"expected as many tensors before as after, got {len(start)} and {len(end)}")
        self.start = start
        self.end = end

    def __len__(self) -> int:
        return len(self.end)

    def __getitem__(self, number: Any) -> Any:
        return precise(self.end[number]) - precise(self.start[number])


@torch.no_grad()
def movement(weights: Sequence[Tensor], previous: Sequence[Tensor]) -> float:
    """Σ_i |τ_i| of the task vector τ = weights − previous, summed over all tensors.

    :param weights: the trainable tensors now.
    :param previous: their copies from the previous merge.
    :return: the L1 length, as a Python float (one host synchronisation).
    """
    device = weights[0].device
    return float(sum(tau.abs_().sum().to(device) for tau in TaskVector(previous, weights)))


@torch.no_grad()
def length(weights: Sequence[Tensor], previous: Sequence[Tensor]) -> float:
    """‖weights − previous‖₂ over all tensors, as a Python float (one host synchronisation).

    :param weights: the trainable tensors now.
    :param previous: copies of them.
    """
    device = weights[0].device
    parts = [torch.linalg.vector_norm(tau).to(device) for tau in TaskVector(previous, weights)]
    return float(torch.linalg.vector_norm(torch.stack(parts)))


@torch.no_grad()
def cosine(first: Sequence[Tensor | None], second: Sequence[Tensor | None]) -> float:
    """cos(first, second) over all tensors: 0 where one of them is zero or missing (one host synchronisation).

    :param first: gradients, say, None where a weight has none.
    :param second: others, in the same order.
    """
    pairs = [(precise(a), precise(b)) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    if not pairs:
        return 0.0
    device = pairs[0][0].device
    along = sum((a * b).sum().to(device) for a, b in pairs)
    lengths = [
        torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(t).to(device) for t in side if t is not None]))
        for side in (first, second)
    ]
    value = float(along / (lengths[0] * lengths[1]))
    return value if math.isfinite(value) else 0.0


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
    along = squares = torch.zeros((), device=device)
    # One tensor at a time: differences of all of them would be two more copies of the weights.
    for new, moved in zip(TaskVector(previous, trained), TaskVector(previous, weights), strict=True):
        along = along + moved.mul_(new).sum().to(device)
        squares = squares + torch.linalg.vector_norm(new).to(device) ** 2
    share = float(along / squares)
    return share if math.isfinite(share) else None


@torch.no_grad()
def all_finite(tensors: Sequence[Tensor]) -> bool:
    """Whether no number of any tensor is NaN or infinite: one host synchronisation.

    :param tensors: floating-point tensors.
    """
    if not tensors:
        return True
    device = tensors[0].device
    return bool(torch.stack([tensor.isfinite().all().to(device) for tensor in tensors]).all())


def precise(tensor: Tensor) -> Tensor:
    """Return the tensor in single precision at least.

    :param tensor: a floating-point tensor.
    """
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
