"""Runs on disk: each is written once it has ended, so that nothing finished is lost.

``runs/<strategy>_<order>_<seed>.json`` holds a run, beside it ``R_*.csv`` and ``history_*``; ``*.lock`` is there
until it has finished. ``results.json`` gathers all of them, with the definitions of their numbers.
"""

import csv
import io
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..evaluation.general import GENERAL_DEFINITIONS
from ..evaluation.transfer import DEFINITIONS
from ..merging.history import History
from ..storage.files import write_atomically
from ..storage.records import changes, record
from .provenance import provenance
from .result import Failure, Key, Keyed, Result

SCORE = (
    "mean over a task's examples of the greedy answer's score by the task's own metric, in percent: exact match, or "
    "ROUGE-L (F-measure, stemmed) for open tasks that name it"
)


@dataclass
class Origin(Keyed):
    """What a run was asked for, and where it ran."""

    asked: dict[str, Any]
    provenance: dict[str, Any]


class RunStore:
    """The runs of one folder.

    :param folder: it need not exist; its files are those of this class alone.
    :param defaults: what runs were asked for that were made before a setting existed.
    """

    def __init__(self, folder: Path, defaults: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self.defaults = dict(defaults or {})
        self.runs = folder / "runs"

    def save(self, ended: Result | Failure, asked: Mapping[str, Any]) -> None:
        """Write a run that has ended."""
        name = ended.key.stem
        content: dict[str, Any] = {"asked": dict(asked), "provenance": provenance()}
        if isinstance(ended, Failure):
            content |= {"status": "failed", "failure": asdict(ended)}
        else:
            content |= {"status": "finished", "result": ended.to_dict()}
            write_atomically(self.runs / f"R_{name}.csv", _matrix_csv(ended).encode())
            if ended.history is not None:
                ended.history.write(self.runs, f"history_{name}")
        # Last: a run counts as finished once this file is there.
        write_atomically(self.runs / f"{name}.json", _json(content))

    def checkpoints(self, key: Key) -> Path:
        """Return the folder of the checkpoints of a run that has not ended; it need not exist."""
        return self.folder / "checkpoints" / key.stem

    def finished(self, key: Key, asked: Mapping[str, Any]) -> Result | None:
        """Return a run if it is there and finished.

        :raises ValueError: if it was asked for something else, or its file is damaged.
        """
        path = self.runs / f"{key.stem}.json"
        if not path.is_file():
            return None
        content = _read(path)
        if content["status"] == "failed":
            return None
        self._refuse_other_settings(path, content, content["asked"], asked)
        ended = self._ended(path, content)
        return ended if isinstance(ended, Result) else None

    def check(self, shared: Mapping[str, Any]) -> None:
        """Refuse a folder whose runs can't stand in one ``results.json`` with new ones.

        :param shared: what every run in it must have been asked for.
        :raises ValueError: if a finished run was asked for something else, or a file is damaged.
        """
        for path in self._files():
            content = _read(path)
            if content["status"] == "finished":
                asked = {name: value for name, value in content["asked"].items() if name in shared}
                self._refuse_other_settings(path, content, asked, shared)
                self._ended(path, content)

    def load(self) -> tuple[list[Result], list[Failure]]:
        """Read all runs; :meth:`read` says which errors it raises."""
        ended = [run for run, _ in self.read()]
        return [run for run in ended if isinstance(run, Result)], [run for run in ended if isinstance(run, Failure)]

    def read(self) -> list[tuple[Result | Failure, Origin]]:
        """Read all runs, each with what it was asked for and where it ran.

        :raises ValueError: if a file is damaged.
        :raises FileNotFoundError: if there is no run.
        """
        found: list[tuple[Result | Failure, Origin]] = []
        for path in self._files():
            content = _read(path)
            ended = self._ended(path, content)
            where = content.get("provenance") or {}
            found.append((ended, Origin(ended.strategy, ended.order, ended.seed, content["asked"], where)))
        if not found:
            raise FileNotFoundError(f"{self.folder}: expected the folder of a comparison, found no runs/*.json in it")
        return found

    def write_summary(self, configuration: Mapping[str, Any]) -> None:
        """Gather all runs in ``results.json``."""
        results, failures = self.load()
        content = {
            "configuration": dict(configuration),
            "definitions": {**DEFINITIONS, "score": SCORE, **GENERAL_DEFINITIONS},
            **provenance(),
            "runs": [result.to_dict() for result in results],
            "failed": [asdict(failure) for failure in failures],
        }
        write_atomically(self.folder / "results.json", _json(content))

    def _files(self) -> list[Path]:
        return [path for path in sorted(self.runs.glob("*.json")) if not path.name.startswith("history_")]

    def _ended(self, path: Path, content: dict[str, Any]) -> Result | Failure:
        history = self.runs / f"history_{path.stem}.json"
        ended: Result | Failure
        try:
            if content["status"] == "failed":
                ended = record(Failure, content["failure"], "failure")
            else:
                recorded = History.from_dict(_json_of(history)) if os.path.lexists(history) else None
                ended = Result.from_dict(content["result"], recorded)
            if path.stem != ended.key.stem:  # a copy would count twice, or stand for a run that was not made
                raise ValueError(f"expected the run that the file is named after, got {str(ended.key)!r:.200}")
        except (ValueError, OSError) as error:
            raise ValueError(f"{path} or its history is damaged: expected a {content['status']} run ({error}); delete "
                             "it to run it again") from error  # fmt: skip
        return ended

    def _refuse_other_settings(
        self, path: Path, content: Mapping[str, Any], asked: Mapping[str, Any], now: Mapping[str, Any]
    ) -> None:
        then, now = {**self.defaults, **asked}, json.loads(json.dumps({**self.defaults, **now}))
        if "device" in then:
            then["device"] = str(then["device"]).partition(":")[0]  # earlier runs have its number too
        if other := changes(then, now):
            raise ValueError(f"{path} is a finished run of {_version(content)} with other settings "
                             f"({', '.join(other)}); choose another folder for what is expected now, or delete "
                             "this one")  # fmt: skip


def _version(content: Mapping[str, Any]) -> str:
    """Name the version of this library that made a run."""
    versions = (content.get("provenance") or {}).get("versions")
    return f"avalanche-aim {versions.get('avalanche-aim') if isinstance(versions, dict) else 'of unknown version'}"


def _read(path: Path) -> dict[str, Any]:
    content = _json_of(path)
    parts = {"finished": ("asked", "result"), "failed": ("asked", "failure")}
    status = content.get("status") if isinstance(content, dict) else None
    needed = parts.get(status) if isinstance(status, str) else None
    if needed is None or not all(isinstance(content.get(part), dict) for part in needed):
        raise ValueError(f"{path}: expected a finished or failed run, got something else; delete it to run it again")
    if not isinstance(content.get("provenance") or {}, dict):
        raise ValueError(f"{path}: expected a mapping as provenance, got something else; delete it to run it again")
    try:  # what a report is going to write
        json.dumps(content, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError) as error:
        raise ValueError(f"{path}: expected whole characters ({error}); delete it to run it again") from error
    return content


def _json_of(path: Path) -> Any:
    if not path.is_file():  # a pipe would be waited for
        raise OSError(f"{path}: expected a file, found something else; delete it to run it again")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON ({error}); delete it to run it again") from error
    except OSError as error:
        raise OSError(f"{path}: expected a file to read, got {error.strerror}; delete it to run it again") from error


def _matrix_csv(result: Result) -> str:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["after training on", *result.tasks])
    for task, row in zip(result.tasks, result.r, strict=True):
        writer.writerow([task, *("" if score is None else score for score in row)])
    return file.getvalue()


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()
