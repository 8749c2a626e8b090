"""Saying where an error came from: which task, and which row of its data."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from avalanche.benchmarks.utils import AvalancheDataset


@contextmanager
def noted(doing: str) -> Iterator[None]:
    """Note in an error what was being done, and which row was being loaded if it came from an example's data.

    :param doing: such as "training on task news".
    """
    try:
        yield
    except Exception as error:
        error.add_note(f"while {doing}{_row(error.__traceback__)}")
        raise


def name_of(experience: Any) -> str:
    """Name an experience, or the whole stream where it is none."""
    number = getattr(experience, "current_experience", None)
    return "all tasks" if number is None else f"task {experience.task_name} (experience {number})"


def one_line(error: Exception) -> str:
    """Return kind, message and notes of an error."""
    message = " ".join(str(error).split()) or "no message"
    notes = "; ".join(getattr(error, "__notes__", []))
    return f"{type(error).__name__}: {message}" + (f" ({notes})" if notes else "")


def _row(trace: TracebackType | None) -> str:
    """Read the row from the traceback: data loaders don't tell. With worker processes there is nothing to read."""
    while trace is not None:
        frame = trace.tb_frame
        data, row = frame.f_locals.get("self"), frame.f_locals.get("idx")
        if frame.f_code.co_name == "__getitem__" and isinstance(data, AvalancheDataset) and isinstance(row, int):
            return f", loading row {row} of {len(data)}"
        trace = trace.tb_next
    return ""
