"""What goes between the processes that train one model: its gradients, its weights, and whether they are the same."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor, distributed

from .processes import world_size

BUCKET = 2**24
"""Numbers that are sent at a time, at most: 64 MiB in single precision."""


@torch.no_grad()
def average_gradients_(weights: Sequence[Tensor]) -> None:
    """Put the mean over all processes in the place of each gradient.

    A weight that has none here takes part with zero, and has one afterwards if it has one anywhere: otherwise an
    optimizer would step it in one process and leave it alone in another.

    :param weights: the trainable weights, in the same order on all processes.
    """
    for bucket in _buckets(weights):
        device, dtype = bucket[0].device, _precise(bucket)
        gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in bucket]
        # Whether there is one goes along, and is read only where it matters: that waits for an accelerator.
        present = torch.tensor([w.grad is not None for w in bucket], dtype=dtype, device=device)
        flat = torch.cat([*(g.reshape(-1).to(device, dtype) for g in gradients), present])
        distributed.all_reduce(flat)
        *means, present = (flat / world_size()).split([*(w.numel() for w in bucket), len(bucket)])
        for place, (w, mean) in enumerate(zip(bucket, means, strict=True)):
            if w.grad is not None:
                w.grad.copy_(mean.view_as(w))
            elif present[place] > 0:
                w.grad = mean.view_as(w).to(w.device, w.dtype)


def broadcast_(tensors: Iterable[Tensor]) -> None:
    """Put the first process's values in the place of all others'.

    :param tensors: weights or buffers, in the same order on all processes.
    """
    for tensor in tensors:
        value = tensor.detach().contiguous()
        distributed.broadcast(value, 0)
        # Past autograd, which would take a batch norm's statistics for changed between forward and backward.
        tensor.data.copy_(value)


def gather_rows(own: Tensor, size: int, rows: int) -> Tensor:
    """Join the rows that each process has.

    :param own: this process's, at most ``size``.
    :param size: rows of each process but the last ones, which may have fewer or none.
    :param rows: of all together.
    :return: all rows, in the order of the processes.
    """
    padded = own.new_zeros((size, *own.shape[1:]))
    padded[: len(own)] = own
    parts = [torch.empty_like(padded) for _ in range(world_size())]
    distributed.all_gather(parts, padded)
    return torch.cat(parts)[:rows]


def check_same(what: str, tensors: Iterable[Tensor], remedy: str) -> None:
    """Refuse tensors that are not the same on all processes.

    :param what: what they are.
    :param tensors: the tensors.
    :param remedy: what to do.
    :raises ValueError: on every process, if they differ.
    """
    shapes, content = [], 0
    for tensor in tensors:
        shapes.append(tuple(tensor.shape))
        numbers = tensor.detach().cpu().contiguous().reshape(-1)
        content = zlib.crc32(numbers.view(torch.uint8).numpy().tobytes(), content)
    found: list[Any] = [None] * world_size()
    distributed.all_gather_object(found, (shapes, content))
    others = [number for number, other in enumerate(found) if other != found[0]]
    if others:
        raise ValueError(f"expected the same {what} on all processes, got others on {others} than on 0; {remedy}")


def _buckets(weights: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    for w in weights:
        if bucket and sum(b.numel() for b in bucket) + w.numel() > BUCKET:
            yield bucket
            bucket = []
        bucket.append(w)
    if bucket:
        yield bucket


def _precise(weights: Sequence[Tensor]) -> torch.dtype:
    """Single precision at least: a sum of halves would round."""
    return reduce(torch.promote_types, (w.dtype for w in weights), torch.float32)
