"""Training one model in several processes, on torch's engines."""

from .plugin import DataParallel
from .processes import (
    barrier,
    broadcast,
    destroy_process_group,
    gathered,
    init_process_group,
    is_main_process,
    local_main_process_first,
    on_main_process,
    rank,
    summed,
    world_size,
)
from .sharding import is_sharded, shard

__all__ = [
    "DataParallel",
    "barrier",
    "broadcast",
    "destroy_process_group",
    "gathered",
    "init_process_group",
    "is_main_process",
    "is_sharded",
    "local_main_process_first",
    "on_main_process",
    "rank",
    "shard",
    "summed",
    "world_size",
]
