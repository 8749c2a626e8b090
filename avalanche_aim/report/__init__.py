"""Reports of comparisons: tables and one self-contained page, from the runs on disk."""

from .command import FORMATS, write_report
from .content import Report

__all__ = ["FORMATS", "Report", "write_report"]
