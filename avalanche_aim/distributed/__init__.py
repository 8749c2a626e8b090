"""Data-parallel training: several processes share the passes of one model."""

from .plugin import DataParallel
from .processes import (
    barrier,
    broadcast,
    destroy_process_group,
    init_process_group,
    is_main_process,
    local_main_process_first,
    on_main_process,
    rank,
    world_size,
)

__all__ = [
    "DataParallel",
    "barrier",
    "broadcast",
    "destroy_process_group",
    "init_process_group",
    "is_main_process",
    "local_main_process_first",
    "on_main_process",
    "rank",
    "world_size",
]
