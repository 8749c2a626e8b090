"""What is said where a training cannot pass a batch of the memory, though it passes its own."""

from collections.abc import Iterator
from contextlib import contextmanager

from .out_of_memory import is_out_of_memory


@contextmanager
def refused_as(words: str, remedy: str = "") -> Iterator[None]:
    """Turn what a batch of the memory makes fail inside into one error; that memory ran out stays what it is.

    :param words: who cannot take part, and why.
    :param remedy: what to do, where that can be said.
    :raises ValueError: for that.
    """
    try:
        yield
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        raise ValueError(f"{words} ({type(error).__name__}: {error!s:.300}){remedy}") from error
