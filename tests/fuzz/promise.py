"""The promise: whatever is read ends in a result or in a clear error of ours, in time, and no file is lost.

A clear error of ours is a ValueError, TypeError or OSError that was raised in the package's own code, whose message is
short, says what was expected, and names the file or the field. On the command line it is exit status 2 with such a
message on standard error.
"""

import faulthandler
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from fnmatch import fnmatch
from io import StringIO
from pathlib import Path
from typing import Any

from hypothesis.strategies import SearchStrategy

import avalanche_aim
from avalanche_aim.__main__ import main

PACKAGE = str(Path(avalanche_aim.__file__).parent)
CLEAR = (ValueError, TypeError, OSError)
FOREIGN = (UnicodeError,)
"""Among the former, what Python raises by itself and nobody can act on."""
SECONDS = 10.0
"""More than any input takes; less than anybody waits."""
LONGEST = 2000
"""Characters of a message, without the folder's name."""


class Broken(Exception):
    """The promise was broken; the message says how."""


class Refused(ValueError):
    """What the command line printed on standard error when it ended with status 2."""


@dataclass(frozen=True)
class Kind:
    """A kind of input: a generator and the function under test.

    :param name: as the table shows it.
    :param inputs: the generator; an input should have a readable ``repr``.
    :param read: the function under test; gets the input and the case's folder. It raises :class:`Broken` for a result
        that is wrong.
    :param write: puts the input's files into the folder.
    :param names: what a clear message may name instead of a file in the folder: fields, or a word for the input.
    :param rewrites: patterns of the files that reading may add or change; all others must stay as they are.
    :param share: how many of all inputs are of this kind, relative to the others.
    """

    name: str
    inputs: SearchStrategy[Any]
    read: Callable[[Any, Path], object]
    write: Callable[[Any, Path], object] = lambda given, folder: None
    names: tuple[str, ...] = ()
    rewrites: tuple[str, ...] = ()
    share: int = 1


def try_out(kind: Kind, given: Any, folder: Path) -> bool:
    """Read one input.

    :param kind: its kind.
    :param given: the input.
    :param folder: an empty folder.
    :return: True for a result, False for a clear error.
    :raises Broken: for anything else.
    """
    kind.write(given, folder)
    before = contents(folder)
    try:
        with deadline(SECONDS), warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            kind.read(given, folder)
        return True
    except Broken:
        raise
    except CLEAR as error:
        if wrong := _unclear(error, kind, folder):
            raise Broken(f"{wrong}: {_described(error)}") from error
        return False
    except (Exception, SystemExit) as error:
        raise Broken(f"foreign: {_described(error)}") from error
    finally:
        _check_kept(before, contents(folder), kind)


def command(*argv: str) -> str:
    """Call the command line; return what it printed.

    :raises Refused: if it ended with status 2.
    """
    out, err = StringIO(), StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            status: Any = main(argv)
    except SystemExit as end:  # argparse's way
        status = end.code
    if status == 2:
        raise Refused(err.getvalue())
    if status not in (0, 1, None):
        raise Broken(f"status {status}: {err.getvalue()}")
    return out.getvalue()


def contents(folder: Path) -> dict[str, bytes | str]:
    """Return every entry under a folder with what is in it, without following links."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        else:
            found[name] = path.read_bytes() if path.is_file() else "folder" if path.is_dir() else "special"
    return found


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Interrupt what takes longer (in the main thread of a Unix process)."""

    def stop(number: int, frame: Any) -> None:
        raise Broken(f"hang: no end after {seconds} s, in\n{''.join(traceback.format_stack(frame)[-3:])}")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    # Python's handler can't run while C or Rust code waits: then end the process, and say where.
    faulthandler.dump_traceback_later(6 * seconds, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _unclear(error: Exception, kind: Kind, folder: Path) -> str | None:
    """What keeps an error from being a clear one of ours, None if nothing does."""
    message = str(error)
    if isinstance(error, FOREIGN):
        return "foreign"
    if not isinstance(error, Refused) and not _is_ours(error):
        return "foreign"
    if message.startswith("usage: "):
        return None  # argparse's words, which name the argument
    if len(message.replace(str(folder), "")) > LONGEST:
        return "too long"
    if not re.search(r"\bexpected\b", message, re.IGNORECASE):
        return "does not say what was expected"
    if str(folder) not in message and not any(name in message for name in kind.names):
        return "names neither file nor field"
    return None


def _is_ours(error: BaseException) -> bool:
    """Whether it comes from a ``raise`` in the package, not from what that called or from Python itself."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return last.filename.startswith(PACKAGE) and (last.line or "").startswith("raise")


def _raised_at(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}"


def _described(error: BaseException) -> str:
    return f"{type(error).__name__} from {_raised_at(error).removeprefix(PACKAGE)}: {str(error)[:400]}"


def _check_kept(before: dict[str, bytes | str], after: dict[str, bytes | str], kind: Kind) -> None:
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    lost = [name for name in changed if not any(fnmatch(name, pattern) for pattern in kind.rewrites)]
    if lost:
        raise Broken(f"files: {lost} changed while they were read")
