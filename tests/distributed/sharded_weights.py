"""What test_sharded_weights.py compares: measures and merges of sharded weights, and of the same weights whole."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from group import begin
from torch import Tensor, distributed, nn

from avalanche_aim.merging.rollback import drop_non_finite
from avalanche_aim.merging.rules import RULES, merge_
from avalanche_aim.merging.slow_weights import ExponentialAverage
from avalanche_aim.merging.task_vectors import (
    all_finite,
    cosine,
    kept_share,
    length,
    movement,
    restore_,
    snapshot,
    whole,
)


def measured(weights: list[Tensor], net: nn.Module, move: Callable[[list[Tensor]], None]) -> dict[str, Any]:
    """Measure and merge, as a training does."""
    found: dict[str, Any] = {}
    previous = snapshot(weights)
    move(weights)
    found["movement"], found["length"] = movement(weights, previous), length(weights, previous)
    trained = snapshot(weights)
    move(weights)
    after_memory = snapshot(weights)
    for name, make in RULES.items():
        restore_(weights, after_memory)
        merge_(weights, previous, trained, [(0.6, 0.4)] * len(weights), make())
        found[name] = [whole(weight.detach()).clone() for weight in weights]
        found[f"kept by {name}"] = kept_share(weights, previous, trained)
    found["cosine"] = cosine([*weights[:-1], None], trained)
    net(torch.ones(4, 7)).sum().backward()
    found["norm"] = float(whole(torch.nn.utils.clip_grad_norm_(weights, 0.1)))
    optimizer = torch.optim.AdamW(weights, lr=0.1)
    optimizer.step()
    slow, named = ExponentialAverage(0.9), {str(number): weight for number, weight in enumerate(weights)}
    slow.start(named)
    move(weights)
    slow.update(named, 1, 2)
    slow.swap(named, True)
    found["slow"] = [whole(weight.detach()).clone() for weight in weights]
    found["finite"] = all_finite(weights)
    with torch.no_grad():  # in one number, so in one shard
        broken = torch.zeros_like(whole(weights[0]))
        broken[-1, -1] = float("nan")
        weights[0].add_(like(broken, weights[0]))
        next(iter(optimizer.state.values()))["exp_avg"].add_(like(broken, weights[0]))
    drop_non_finite(optimizer.state)
    found["still finite"], found["moments left"] = all_finite(weights), len(optimizer.state)
    return found


def like(tensor: Tensor, weight: Tensor) -> Tensor:
    """Shard a tensor as a weight is."""
    if isinstance(weight, nn.Parameter) and type(weight.data) is Tensor:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor, weight.device_mesh, weight.placements)


def run(folder: Path, replicas: int) -> None:
    """Be one of the processes."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    begin()
    distributed.init_process_group("gloo")
    size = distributed.get_world_size()
    shape, names = ((size,), ("shard",)) if replicas == 1 else ((replicas, size // replicas), ("replicate", "shard"))
    mesh = init_device_mesh("cpu", shape, mesh_dim_names=names)
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(7, 5), nn.Tanh(), nn.Linear(5, 3))
    sharded = deepcopy(plain)
    fully_shard(sharded, mesh=mesh)
    found = []
    for net in (plain, sharded):
        generator = torch.Generator().manual_seed(1)

        @torch.no_grad()
        def move(weights: list[Tensor], generator: torch.Generator = generator) -> None:
            for weight in weights:
                weight.add_(like(torch.randn(weight.shape, generator=generator), weight))

        found.append(measured(list(net.parameters()), net, move))
    torch.save(found, folder / f"found-{distributed.get_rank()}.pt")
    distributed.barrier()
    distributed.destroy_process_group()
