"""What is said where a training cannot pass a batch of the memory, though it passes its own."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import distributed

from .out_of_memory import is_out_of_memory

LOST = ("gloo", "by peer", "NCCL", "TCPStore")
"""What torch's errors of lost connections say."""


@contextmanager
def refused_as(words: str, remedy: str = "") -> Iterator[None]:
    """Turn what a batch of the memory makes fail inside into one error, but for memory or processes that are gone."""
    try:
        yield
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if is_out_of_memory(error) or is_connection_lost(error):
            raise
        raise ValueError(f"{words} ({type(error).__name__}: {error!s:.300}){remedy}") from error


def is_connection_lost(error: BaseException) -> bool:
    """Whether an error says that another process does not answer."""
    if not (distributed.is_available() and distributed.is_initialized() and isinstance(error, RuntimeError)):
        return False
    return isinstance(error, distributed.DistError) or any(word in str(error) for word in LOST)
