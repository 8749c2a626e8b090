"""From records to examples: which fields are the prompt and the answer, and which are not used."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .chat import chat_example
from .settings import Columns, TaskSettings
from .tasks import TextExample

Place = Path | str
"""The file or task that records are from, for error messages."""

FORMS = (
    Columns(messages="messages"),
    Columns(messages="conversations"),
    Columns(("input",), "output"),
    Columns(("prompt",), "answer"),
    Columns(("prompt",), "completion"),
    Columns(("prompt",), "response"),
    Columns(("question",), "answer"),
    Columns(("text",), "label"),
    Columns(("sentence",), "label"),
    Columns(("context",), "response"),
    Columns(("instruction",), "output"),
    Columns(("instruction",), "response"),
)
"""The usual fields, in the order in which they are tried; an ``instruction`` beside them comes first in the prompt."""
NUMBERS = ("id", "data_id", "idx", "index", "guid", "uid", "", "Unnamed: 0", "__index_level_0__")
"""Fields that number a record: nobody misses them in a prompt."""


def examples_of(
    where: Place, records: Sequence[dict[str, Any]], settings: TaskSettings, tokenizer: Any = None
) -> tuple[tuple[TextExample, ...], set[str]]:
    """Make examples of records.

    :param settings: of the task; without columns the records' own fields are looked at.
    :param tokenizer: the model's, which only chats need.
    :return: the examples, and the fields that hold something and were not used, unless the columns were given.
    :raises ValueError: for a record that lacks a field or holds something else; the message names it.
    """
    names = {name for record in records for name in record}
    columns = settings.columns or _form(where, names)
    used = {*columns.prompt, columns.answer, columns.messages} - {""}
    if settings.columns is not None and (missing := used - names):
        raise ValueError(
            f"{where}: expected the columns {sorted(used)!r:.200}, got records without {sorted(missing)!r:.200}; "
            f"there are {sorted(map(str, names))!r:.400}"
        )
    examples = []
    for row, record in enumerate(records):
        if columns.messages:
            example = chat_example(where, row, field(where, row, record, columns.messages), tokenizer)
            example = TextExample(example.prompt, tuple(settings.renamed.get(a, a) for a in example.references))
            for text in (example.prompt, example.answer):
                check_characters(where, row, columns.messages, text)
        else:
            prompt = _prompt(where, row, record, columns.prompt)
            example = TextExample(prompt, _answers(where, row, record, columns.answer, settings))
        examples.append(example)
    rest = set() if settings.columns else names - used - set(NUMBERS)
    return tuple(examples), {str(name) for name in rest if any(_holds(record.get(name)) for record in records)}


def field(where: Place, row: int, record: dict[str, Any], name: str) -> Any:
    """Return a field of a record.

    :raises ValueError: if it is missing.
    """
    if name not in record:
        raise ValueError(
            f"{where}, record {row}: expected the field {name!r}, got only {sorted(map(str, record))!r:.200}; complete "
            "or drop the record"
        )
    return record[name]


def check_characters(where: Place, row: int, name: str, text: str) -> None:
    """Refuse half a character, such as a text cut inside an emoji leaves: no tokenizer takes it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{where}, record {row}: expected {name!r} to be whole characters, got half of one "
            f"({text[error.start]!r}) at place {error.start}; remove it"
        ) from error


def _form(where: Place, names: set[str]) -> Columns:
    for form in FORMS:
        if {*form.prompt, form.answer, form.messages} - {""} <= names:
            instruction = ("instruction",) if "instruction" in names and not form.messages else ()
            return replace(form, prompt=tuple(dict.fromkeys((*instruction, *form.prompt))))
    usual = ", ".join(" and ".join(filter(None, (*form.prompt, form.answer, form.messages))) for form in FORMS)
    raise ValueError(
        f"{where}: expected records with usual fields ({usual}), got {sorted(map(str, names))!r:.400}; name yours, "
        'such as columns={"prompt": "text", "answer": "label"}, or see whether the file is from another layout'
    )


def _prompt(where: Place, row: int, record: dict[str, Any], names: Sequence[str]) -> str:
    """The texts of the fields, one below the other; where there are several, one that has text will do."""
    values = [field(where, row, record, name) if len(names) == 1 else record.get(name) or "" for name in names]
    for name, value in zip(names, values, strict=True):
        if not isinstance(value, str) or (len(names) == 1 and not value.strip()):
            raise ValueError(
                f"{where}, record {row}: expected {name!r} to be a text that is not empty, got {value!r:.60}; correct "
                "or drop the record"
            )
        check_characters(where, row, name, value)
    prompt = values[0] if len(values) == 1 else "\n".join(value for value in values if value.strip())
    if not prompt:
        raise ValueError(
            f"{where}, record {row}: expected text in one of {', '.join(map(repr, names))}, got none; correct or drop "
            "the record"
        )
    return prompt


def _answers(where: Place, row: int, record: dict[str, Any], name: str, settings: TaskSettings) -> tuple[str, ...]:
    """The accepted answers of a record: one text, or a list of them. Texts may be empty."""
    value = field(where, row, record, name)
    several = value if isinstance(value, (list, tuple)) else [value]
    answers: list[Any] = [settings.renamed.get(str(v), v) if isinstance(v, (str, int)) else v for v in several]
    if not answers or not all(isinstance(answer, str) for answer in answers):
        raise ValueError(
            f"{where}, record {row}: expected {name!r} to be a text or a list of texts, got {value!r:.60}; write the "
            "answer as text, or name the labels that numbers stand for (labels: {0: bad, 1: good} in tasks.yaml)"
        )
    for answer in answers:
        check_characters(where, row, name, answer)
    return tuple(answers)


def _holds(value: Any) -> bool:
    return value is not None and not (hasattr(value, "__len__") and len(value) == 0)
