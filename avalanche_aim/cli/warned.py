"""Which warnings a command shows, and how: above the progress bar, not through it."""

import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from tqdm import tqdm

OTHERS = (
    ("no QP solver found", UserWarning),  # only GEM needs one, and says so itself
    ("Call to deprecated function", DeprecationWarning),
    (".*is deprecated and will be removed", FutureWarning),
    ("No loggers specified", UserWarning),
)
"""What libraries tell their own users' programmers; whoever runs a command can do nothing about it."""


def leave_out_others() -> None:
    """Leave out warnings that speak to the authors of a library's callers."""
    for message, category in OTHERS:
        warnings.filterwarnings("ignore", message=message, category=category)


@contextmanager
def above_the_bar() -> Iterator[None]:
    """Leave those warnings out, and show others above the progress bar, in one line each where there is a terminal."""
    with warnings.catch_warnings():
        leave_out_others()
        warnings.showwarning = partial(_show, warnings.showwarning)
        yield


def _show(show: Callable[..., None], message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
    # Once more, since Avalanche's deprecated functions switch their warnings on each time.
    if any(issubclass(category, kind) and re.match(text, str(message)) for text, kind in OTHERS):
        return
    if sys.stderr.isatty():
        tqdm.write(f"warning: {message}", file=sys.stderr)
    else:
        show(message, category, *place, **more)
