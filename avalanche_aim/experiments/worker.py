"""What a worker of a cluster does: one run, as one process would, or the reference of one task.

It claims the run, resumes it from its checkpoint, writes it to the common folder, and hands back how it has ended.
"""

import os
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import ray

from ..storage.versions import versions
from .comparison import Checkpoints, Comparison
from .configuration import Configuration
from .result import Failure, Key, Result

MARK = ".ray"
"""The name of a file in the folder of results, by whose content workers know that it is the same folder."""

_kept: dict[tuple[Any, str], Comparison] = {}
"""The comparison of this worker's last run, by its job and order."""


@dataclass(frozen=True)
class Place:
    """What the process that was started has, and every worker is to have.

    :param working_directory: a folder that all machines see.
    :param mark: what its file :data:`MARK` holds.
    :param versions: of the libraries that results depend on.
    :param prepare: registers strategies, say.
    """

    working_directory: Path
    results: Path
    mark: str
    versions: dict[str, str]
    prepare: Callable[[], None]

    @classmethod
    def of(cls, results: Path, prepare: Callable[[], None]) -> "Place":
        """Describe this process.

        :param results: the folder of results, which gets a mark unless it has one.
        """
        results.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), (results / MARK).open("x") as file:
            file.write(uuid4().hex)
        return cls(Path.cwd(), results.absolute(), (results / MARK).read_text(), versions(), prepare)


@dataclass(frozen=True)
class Job:
    """A comparison, as its workers get it; its place is a reference to a :class:`Place`."""

    configuration: Configuration
    folder: Path
    checkpoints: Checkpoints
    place: Any


@dataclass(frozen=True)
class Made:
    """How a run has ended, and what is to be shown of it: ``ours`` is False where another command is making it."""

    ours: bool
    ended: Result | Failure | None
    unsaved: dict[Key, Result | Failure]
    problems: list[str]
    lines: list[str]
    warned: list[tuple[str, type[Warning], str, int]]


def make(job: list[Any], places: Any, key: Key, references: list[float] | None) -> Made:
    """Make a run.

    :param job: a reference to a :class:`Job`, in a list so that Ray leaves it one.
    :param references: of its tasks, for FWT.
    """
    comparison = _comparison(job[0], key.order, key.seed)
    if references is not None:
        comparison.references[key.seed, key.order] = references
    comparison.problems, comparison.unsaved = [], {}
    bar = _Bar(key, comparison.examples(key), places)
    with warnings.catch_warnings(record=True) as caught:
        ours = comparison.claim_and_run(key, bar, str(key))
    warned = [(str(one.message), one.category, one.filename, one.lineno) for one in caught]
    return Made(ours, comparison.ended[key], comparison.unsaved, comparison.problems, bar.lines, warned)


def measure(job: list[Any], places: Any, seed: int, order: str, task: int) -> float:
    """Measure what a task scores when it is trained on alone.

    :param task: its place in the order.
    """
    return _comparison(job[0], order, seed).measure_alone(seed, order, [task])[0]


def take_part(place: list[Any]) -> None:
    """Become like the process that was started.

    :raises ValueError: for other versions.
    :raises OSError: if a folder is not there.
    """
    _take_part(place[0])


@lru_cache(maxsize=1)
def _take_part(place: Any) -> None:
    there: Place = ray.get(place)
    mark = there.results / MARK
    if not there.working_directory.is_dir() or not mark.is_file() or mark.read_text() != there.mark:
        raise OSError(f"expected the working directory {there.working_directory} and the results in {there.results} on "
                      "a disk that all machines share, got other folders or none")  # fmt: skip
    here = versions()
    other = [f"{name} {here[name]}, not {version}" for name, version in there.versions.items()
             if here[name].partition("+")[0] != version.partition("+")[0]]  # fmt: skip
    if other:
        raise ValueError(f"expected the versions of the process that was started, got {', '.join(other)}")
    os.chdir(there.working_directory)
    there.prepare()


def _comparison(job: Any, order: str, seed: int) -> Comparison:
    """The comparison as far as it is of one order, kept for the next run: building its stream takes seconds."""
    if (job, order) not in _kept:
        _kept.clear()  # it holds a model
        asked: Job = ray.get(job)
        _take_part(asked.place)
        seeds = dict.fromkeys((seed, *asked.configuration.seeds))  # this one's model is loaded first
        configuration = replace(asked.configuration, orders=(order,), seeds=tuple(seeds))
        _kept[job, order] = Comparison(configuration, asked.folder, asked.checkpoints)
    return _kept[job, order]


class _Bar:
    """Stands for the progress bar: tells how far the run is, at most once a second, and keeps lines."""

    disable = True

    def __init__(self, key: Key, total: int, places: Any) -> None:
        self.name, self.total, self.places = str(key), total, places
        self.n, self._told = 0, 0.0
        self.lines: list[str] = []

    def update(self, number: int) -> None:
        self.n += number
        if time.monotonic() - self._told >= 1.0:
            self._told = time.monotonic()
            self.places.tell.remote(self.name, self.n)

    def write(self, line: str) -> None:
        self.lines.append(line)

    def set_description_str(self, *text: Any, **chosen: Any) -> None:
        """Not shown: many runs are trained at a time."""
