"""Reports of comparisons, from the runs on disk. Needs neither Avalanche nor Transformers."""

from .command import FORMATS, write_report
from .content import Report
from .quantities import Quantity

__all__ = ["FORMATS", "Quantity", "Report", "write_report"]
