"""Task vectors, and what is measured of them.

``weights`` is always the list of trainable tensors; frozen weights and buffers never come here. Of weights that are
sharded over processes (``DTensor``) each process works on its own shards, and :func:`total` adds up what is measured;
then all processes have to measure together.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributed


def local(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return this process's shards of tensors; those that are whole stay as they are."""
    return [tensor.to_local() if is_sharded(tensor) else tensor for tensor in tensors]  # type: ignore[attr-defined]


def is_sharded(tensor: Tensor) -> bool:
    """Whether a tensor is spread over processes: a ``DTensor``, told without importing that takes a second."""
    return hasattr(tensor, "device_mesh")


def whole(tensor: Tensor) -> Tensor:
    """Return all of a tensor, gathered or added up where processes hold parts of it."""
    return getattr(tensor, "full_tensor", lambda: tensor)()


def total(parts: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """Add up numbers that were each taken of one weight's local shard, over all weights and processes.

    Only those processes are added up that hold different shards: the replicas of hybrid sharding hold the same ones.

    :param parts: a tensor for each weight, all of one shape.
    :param weights: the weights, local or not.
    """
    device = parts[0].device
    alike: dict[Any, list[Tensor]] = {}
    for part, weight in zip(parts, weights, strict=True):
        alike.setdefault(_shard_groups(weight), []).append(part.to(device))
    sums = [torch.stack(some).sum(0) for some in alike.values()]
    for groups, value in zip(alike, sums, strict=True):
        for group in groups:
            distributed.all_reduce(value, group=group)
    return sums[0] if len(sums) == 1 else torch.stack(sums).sum(0)


def _shard_groups(weight: Tensor) -> tuple[Any, ...]:
    if not is_sharded(weight):
        return ()
    mesh, placements = weight.device_mesh, weight.placements  # type: ignore[attr-defined]
    return tuple(mesh.get_group(dim) for dim, placement in enumerate(placements) if placement.is_shard())


def snapshot(weights: Sequence[Tensor]) -> list[Tensor]:
    """Return detached copies of the weights."""
    return [w.detach().clone() for w in weights]


@torch.no_grad()
def restore_(weights: Sequence[Tensor], saved: Sequence[Tensor]) -> None:
    """Write copies from :func:`snapshot` back into the weights, in place."""
    if saved:
        torch._foreach_copy_(local(weights), local(saved))


class TaskVector(Sequence[Tensor]):
    """τ = end − start, one tensor for each weight, made when it is read: it holds no copy.

    Weights of half precision are subtracted in single precision, so that small differences are not rounded away.

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
    """Σ_i |τ_i| of the task vector τ = weights − previous over all tensors (one host synchronisation)."""
    return float(total([tau.abs_().sum() for tau in TaskVector(local(previous), local(weights))], weights))


@torch.no_grad()
def length(weights: Sequence[Tensor], previous: Sequence[Tensor]) -> float:
    """‖weights − previous‖₂ over all tensors (one host synchronisation)."""
    squares = [tau.square_().sum() for tau in TaskVector(local(previous), local(weights))]
    return float(total(squares, weights).sqrt())


@torch.no_grad()
def cosine(first: Sequence[Tensor | None], second: Sequence[Tensor | None]) -> float:
    """cos(first, second) over all tensors: 0 where one of them is zero or missing (one host synchronisation)."""
    products: list[Tensor] = []
    of: list[Tensor] = []
    for a, b in zip(first, second, strict=True):
        there = b if a is None else a
        if there is not None:
            x, y = map(precise, local([torch.zeros_like(there) if side is None else side for side in (a, b)]))
            products.append(torch.stack([(x * y).sum(), x.square().sum(), y.square().sum()]))
            of.append(there)
    if not products:
        return 0.0
    along, *squares = total(products, of)
    value = float(along / squares[0].sqrt() / squares[1].sqrt())
    return value if math.isfinite(value) else 0.0


def straightness(previous: Sequence[Tensor], half: Sequence[Tensor], weights: Sequence[Tensor]) -> float:
    """How straight the way from θ_prev to θ_j was: s = max(0, cos(θ_h − θ_prev, θ_j − θ_h)), in [0, 1].

    While the task is being learned, the second half of an interval leads on where the first led; once what is left is
    noise, it leads anywhere. So s says which part of the way was progress.

    :param previous: θ_prev.
    :param half: θ_h, the weights half-way through the interval; none where it ended in its first half, and s is 0.
    :param weights: θ_j.
    """
    return max(0.0, cosine(TaskVector(previous, half), TaskVector(half, weights))) if half else 0.0


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
    before, after, now = local(previous), local(trained), local(weights)
    # One tensor at a time: differences of all of them would be two more copies of the weights.
    products = [
        torch.stack([moved.mul_(new).sum(), new.square_().sum()])
        for new, moved in zip(TaskVector(before, after), TaskVector(before, now), strict=True)
    ]
    along, squares = total(products, weights)
    share = float(along / squares)
    return share if math.isfinite(share) else None


@torch.no_grad()
def all_finite(tensors: Sequence[Tensor]) -> bool:
    """Whether no number of any floating-point tensor is NaN or infinite: one host synchronisation."""
    if not tensors:
        return True
    broken = [tensor.isfinite().logical_not().any().float() for tensor in local(tensors)]
    return not bool(total(broken, tensors))


def precise(tensor: Tensor) -> Tensor:
    """Return a floating-point tensor in single precision at least; one that has it is returned as it is."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
