"""Benchmark files on disk as text tasks, in every layout that people have; the folder says which it is."""

from .detect import LAYOUTS, detect
from .layout import Layout, TaskFiles
from .read import SAMPLE, DataWarning, read_tasks

__all__ = ["LAYOUTS", "SAMPLE", "DataWarning", "Layout", "TaskFiles", "detect", "read_tasks"]
