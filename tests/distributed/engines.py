"""Be one of the processes of test_engines.py: all runs, with one of torch's engines."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from distributed_runs import LANGUAGE
from group import begin

from avalanche_aim import LanguageModel
from avalanche_aim.distributed import destroy_process_group, init_process_group, rank, world_size


def sharding(replicas: int) -> Callable[[LanguageModel], None]:
    """Return what shards a model, as docs/distributed.md does."""

    def shard(model: LanguageModel) -> None:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        size = world_size()
        shape, names = ((size,), ("shard",)) if replicas == 1 else ((replicas, size // replicas), ("replica", "shard"))
        mesh = init_device_mesh("cpu", shape, mesh_dim_names=names)
        inner = model.language_model
        layers = [*inner.encoder.block, *inner.decoder.block] if hasattr(inner, "encoder") else inner.model.layers
        for layer in (*layers, inner):
            fully_shard(layer, mesh=mesh)
        model.register_trainable()

    return shard


def run(folder: Path, names: Sequence[str], replicas: int | None) -> None:
    """Run some of the runs.

    :param folder: gets what they gave.
    :param names: of the runs.
    :param replicas: of the shards; None for DDP.
    """
    begin()
    init_process_group()
    for name in names:
        found = LANGUAGE[name](shard=None if replicas is None else sharding(replicas))
        torch.save(found, folder / f"{name}-{rank()}.pt")
    if replicas is None:
        torch.save(LANGUAGE["naive"](reduced=False), folder / f"unreduced-{rank()}.pt")
    destroy_process_group()
