"""Tasks on disk or in memory as text tasks, in every layout that people have; the folder says which it is."""

from .detect import LAYOUTS, detect, register_layout
from .layout import Layout, TaskFiles
from .read import SAMPLE, DataWarning, read_tasks
from .source import open_source

__all__ = [
    "LAYOUTS",
    "SAMPLE",
    "DataWarning",
    "Layout",
    "TaskFiles",
    "detect",
    "open_source",
    "read_tasks",
    "register_layout",
]
