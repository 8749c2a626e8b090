"""Comparing plain data of two runs."""

from typing import Any

import pytest


def nearly(ours: Any, theirs: Any, rel: float, abs: float) -> bool:
    """Compare plain data; numbers that are not whole may differ by rounding.

    :param ours: dicts, lists, numbers, text.
    :param theirs: the same.
    :param rel: by how much of their size numbers may differ.
    :param abs: by how much they may differ where they are small.
    """
    if isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(nearly(ours[key], theirs[key], rel, abs) for key in theirs)
    if isinstance(theirs, list):
        return len(ours) == len(theirs) and all(nearly(*pair, rel, abs) for pair in zip(ours, theirs, strict=True))
    return ours == pytest.approx(theirs, rel=rel, abs=abs) if isinstance(theirs, float) else ours == theirs
