"""What a user says of a task, in place of what would be found or guessed: kind, labels, metric, instruction, columns.

It stands in a ``tasks.yaml`` beside the files, or is given by hand; what is given by hand wins, setting by setting.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ...storage.yaml_file import read_yaml
from .orders import canonical
from .tasks import METRICS

KINDS = ("closed", "open")
FILES = ("tasks.yaml", "tasks.yml")
"""Where the settings of a folder's tasks stand."""
_WHAT = "settings by task such as 'reviews: {kind: open}'"


@dataclass(frozen=True)
class Columns:
    """The fields of a record that are used.

    :param prompt: fields whose texts make the prompt, one below the other; blank ones are left out.
    :param answer: the field of the answer.
    :param messages: the field of a chat, in place of both.
    """

    prompt: tuple[str, ...] = ()
    answer: str = ""
    messages: str = ""

    @classmethod
    def of(cls, given: Any, source: str = "columns") -> "Columns":
        """Make columns from plain data.

        :param given: ``{"prompt": "text", "answer": "label"}``, the prompt a field or a list of them, or
            ``{"messages": "chat"}``.
        :raises ValueError: for anything else.
        """
        if isinstance(given, cls):
            return given
        if isinstance(given, Mapping) and set(given) in ({"prompt", "answer"}, {"messages"}):
            prompt = given.get("prompt", ())
            several = (prompt,) if isinstance(prompt, str) else prompt
            names = [given.get("answer", ""), given.get("messages", "")]
            if isinstance(several, (list, tuple)) and all(isinstance(name, str) for name in (*several, *names)):
                columns = cls(tuple(several), *names)
                if columns.messages or (columns.prompt and all(columns.prompt) and columns.answer):
                    return columns
        raise ValueError(
            f'{source}: expected the fields of prompt and answer, such as {{"prompt": "text", "answer": "label"}}, or '
            f'of a chat, {{"messages": "messages"}}; got {given!r:.200}'
        )

    def plain(self) -> dict[str, Any]:
        """Return the columns as plain data."""
        return {"messages": self.messages} if self.messages else {"prompt": list(self.prompt), "answer": self.answer}


@dataclass(frozen=True)
class TaskSettings:
    """What is said of one task; None for what is not said.

    :param kind: "closed" (its answers are a fixed set of labels) or "open".
    :param labels: its labels; it is closed then.
    :param renamed: the label that stands for an answer of the records.
    :param metric: one of :data:`~avalanche_aim.text.data.tasks.METRICS`.
    :param instruction: what is asked, a line before each prompt; in place of a Definition and of our own templates.
    :param columns: the fields of its records.
    """

    kind: str | None = None
    labels: tuple[str, ...] | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    metric: str | None = None
    instruction: str | None = None
    columns: Columns | None = None

    @classmethod
    def of(cls, given: Any, source: str) -> "TaskSettings":
        """Make settings from plain data.

        :param given: any of ``kind``, ``labels`` (a list, or a mapping from the records' answers to labels),
            ``metric``, ``instruction`` and ``columns``.
        :raises ValueError: for another name, or a value out of range.
        """
        if isinstance(given, cls):
            return given
        names = [f.name for f in fields(cls) if f.name != "renamed"]
        if not isinstance(given, Mapping) or not all(name in names for name in given):
            raise ValueError(f"{source}: expected some of {', '.join(names)}; got {given!r:.200}")
        for name, known in (("kind", KINDS), ("metric", METRICS)):
            if given.get(name) not in (None, *known):
                raise ValueError(f"{source}, {name}: expected one of {', '.join(known)}, got {given[name]!r:.80}")
        instruction = given.get("instruction")
        if instruction is not None and (not isinstance(instruction, str) or not instruction.strip()):
            raise ValueError(f"{source}, instruction: expected a text that is not empty, got {instruction!r:.80}")
        labels, renamed = _labels(given.get("labels"), source)
        if labels is not None and given.get("kind") == "open":
            raise ValueError(f"{source}: expected kind open or labels, got both; leave one out")
        columns = given.get("columns")
        return cls(
            kind=given.get("kind") if labels is None else "closed",
            labels=labels,
            renamed=renamed,
            metric=given.get("metric"),
            instruction=instruction,
            columns=None if columns is None else Columns.of(columns, f"{source}, columns"),
        )

    def plain(self) -> dict[str, Any]:
        """Return what is said as plain data."""
        labels = None if self.labels is None else list(self.labels)
        values = {
            "kind": self.kind,
            "labels": dict(self.renamed) or labels,
            "metric": self.metric,
            "instruction": self.instruction,
            "columns": self.columns and self.columns.plain(),
        }
        return {name: value for name, value in values.items() if value is not None}

    def over(self, other: "TaskSettings") -> "TaskSettings":
        """Return these settings, completed by others."""
        kind = {name: getattr(self if self.kind else other, name) for name in ("kind", "labels", "renamed")}
        rest = {name: getattr(self, name) or getattr(other, name) for name in ("metric", "instruction", "columns")}
        return replace(self, **kind, **rest)


def read_settings(given: Any, source: str = "task_settings") -> dict[str, TaskSettings]:
    """Read the settings of tasks, by canonical name.

    :param given: a mapping by task, a YAML file with one, or None.
    :raises ValueError: for anything else, or a task that is named twice.
    :raises OSError: for a file that can't be read.
    """
    if isinstance(given, (str, Path)):
        path = Path(os.path.expanduser(given))
        if not os.path.isfile(path):  # unlike Path.is_file it takes any name
            raise FileNotFoundError(
                f"{source}: expected {_WHAT}, or the YAML file of them; there is no file {str(given)!r:.200}"
            )
        source, given = str(path), read_yaml(path, _WHAT)
    if not isinstance(given, Mapping | None) or not all(isinstance(name, str) for name in given or ()):
        raise ValueError(f"{source}: expected {_WHAT}, or the YAML file of them; got {given!r:.200}")
    found: dict[str, TaskSettings] = {}
    for name, values in (given or {}).items():
        if canonical(name) in found:
            raise ValueError(f"{source}: expected each task once, got {name!r:.80} again; leave one out")
        found[canonical(name)] = TaskSettings.of(values, f"{source}, task {name!r:.80}")
    return found


def settings_beside(folders: Iterable[Path]) -> tuple[dict[str, TaskSettings], Path | None]:
    """Read the ``tasks.yaml`` of a folder.

    :return: the settings, none if there is no such file; and the file.
    :raises ValueError: for two of them, and as :func:`read_settings`.
    """
    paths = [path for path in dict.fromkeys(folder / name for folder in folders for name in FILES) if path.exists()]
    if len(paths) > 1:
        raise ValueError(f"expected one file of settings, got {paths[0]} and {paths[1]}; remove one")
    return (read_settings(paths[0]), paths[0]) if paths else ({}, None)


def _labels(given: Any, source: str) -> tuple[tuple[str, ...] | None, dict[str, str]]:
    """The labels of a list, or of a mapping from answers, and the mapping."""
    if given is None:
        return None, {}
    texts = [*given, *given.values()] if isinstance(given, Mapping) else given
    if not isinstance(texts, (list, tuple)) or not texts:
        raise ValueError(f"{source}, labels: expected a list of texts, or a mapping to them; got {given!r:.200}")
    for text in texts:
        if isinstance(text, bool) or not isinstance(text, (str, int)):
            quoted = 'yes, no, true and false need quotes in YAML: "yes"' if isinstance(text, bool) else "correct it"
            raise ValueError(f"{source}, labels: expected texts, got {text!r:.80}; {quoted}")
    renamed = {str(old): str(new) for old, new in given.items()} if isinstance(given, Mapping) else {}
    labels = tuple(renamed.values() if renamed else map(str, given))
    if not renamed and len(set(labels)) != len(labels):
        raise ValueError(f"{source}, labels: expected each label once, got {list(labels)!r:.200}; remove the second")
    return tuple(dict.fromkeys(labels)), renamed
