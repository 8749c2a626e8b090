"""Data-parallel training: several processes share the passes of one model out among them."""

from .plugin import DataParallel
from .processes import agreed, count, end, from_main, initialise, is_main, machine_first, meet

__all__ = ["DataParallel", "agreed", "count", "end", "from_main", "initialise", "is_main", "machine_first", "meet"]
