"""From records to examples: which fields are the prompt and the answer, chats among them, and which are not used."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

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
ROLES = {"human": "user", "gpt": "assistant"}
"""The names of ShareGPT's records, whose messages are ``{"from", "value"}``."""
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
    if columns.messages and getattr(tokenizer, "chat_template", None) is None:
        got = "a tokenizer without one" if tokenizer is not None else "no tokenizer"
        raise ValueError(
            f"{where}: expected a tokenizer with a chat template for its messages, got {got}; give that of a model "
            "tuned for chats, or write prompts and answers instead"
        )
    examples = []
    for row, record in enumerate(records):
        place = f"{where}, record {row}"
        if columns.messages:
            prompt, answers = _chat(place, record, columns.messages, settings, tokenizer)
        else:
            prompt, answers = _prompt(place, record, columns.prompt), _answers(place, record, columns.answer, settings)
        examples.append(TextExample(prompt, answers))
    rest = set() if settings.columns else names - used - set(NUMBERS)
    return tuple(examples), {str(name) for name in rest if any(_holds(record.get(name)) for record in records)}


def check_characters(place: str, name: str, text: str) -> None:
    """Refuse half a character, such as a text cut inside an emoji leaves: no tokenizer takes it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{place}: expected {name!r} to be whole characters, got half of one ({text[error.start]!r}) at place "
            f"{error.start}; remove it"
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


def _field(place: str, record: dict[str, Any], name: str) -> Any:
    if name not in record:
        raise ValueError(
            f"{place}: expected the field {name!r}, got only {sorted(map(str, record))!r:.200}; complete or drop the "
            "record"
        )
    return record[name]


def _prompt(place: str, record: dict[str, Any], names: Sequence[str]) -> str:
    """The texts of the fields, one below the other; where there are several, one that has text will do."""
    values = [_field(place, record, name) if len(names) == 1 else record.get(name) or "" for name in names]
    for name, value in zip(names, values, strict=True):
        if not isinstance(value, str) or (len(names) == 1 and not value.strip()):
            raise ValueError(
                f"{place}: expected {name!r} to be a text that is not empty, got {value!r:.60}; correct or drop the "
                "record"
            )
        check_characters(place, name, value)
    prompt = values[0] if len(values) == 1 else "\n".join(value for value in values if value.strip())
    if not prompt:
        raise ValueError(
            f"{place}: expected text in one of {', '.join(map(repr, names))}, got none; correct or drop the record"
        )
    return prompt


def _answers(place: str, record: dict[str, Any], name: str, settings: TaskSettings) -> tuple[str, ...]:
    """The accepted answers of a record: one text, or a list of them. Texts may be empty."""
    value = _field(place, record, name)
    several = value if isinstance(value, (list, tuple)) else [value]
    answers: list[Any] = [settings.renamed.get(str(v), v) if isinstance(v, (str, int)) else v for v in several]
    if not answers or not all(isinstance(answer, str) for answer in answers):
        raise ValueError(
            f"{place}: expected {name!r} to be a text or a list of texts, got {value!r:.60}; write the answer as text, "
            "or name the labels that numbers stand for (labels: {0: bad, 1: good} in tasks.yaml)"
        )
    for answer in answers:
        check_characters(place, name, answer)
    return tuple(answers)


def _chat(
    place: str, record: dict[str, Any], name: str, settings: TaskSettings, tokenizer: Any
) -> tuple[str, tuple[str, ...]]:
    """All but the last message through the tokenizer's chat template, and the last one, the assistant's, as answer."""
    messages = _field(place, record, name)
    turns = [_turn(place, message) for message in messages] if isinstance(messages, (list, tuple)) else []
    if len(turns) < 2 or turns[-1]["role"] != "assistant":
        raise ValueError(
            f"{place}: expected messages of which the last is the assistant's, got {messages!r:.80}; correct or drop "
            "the record"
        )
    try:
        prompt = tokenizer.apply_chat_template(turns[:-1], tokenize=False, add_generation_prompt=True)
    except Exception as error:  # whatever the template's own code raises
        raise ValueError(
            f"{place}: expected messages that the chat template takes, got {error!s:.200}; correct or drop the record"
        ) from error
    begin = tokenizer.bos_token
    if begin and tokenizer("a").input_ids[:1] == [tokenizer.bos_token_id]:  # it will be put there again
        prompt = prompt.removeprefix(begin)
    answer = settings.renamed.get(turns[-1]["content"], turns[-1]["content"])
    for text in (prompt, answer):
        check_characters(place, name, text)
    return prompt, (answer,)


def _turn(place: str, message: Any) -> dict[str, str]:
    if isinstance(message, dict):
        role = message.get("role", message.get("from"))
        content = message.get("content", message.get("value"))
        if isinstance(role, str) and isinstance(content, str):
            return {"role": ROLES.get(role, role), "content": content}
    raise ValueError(
        f"{place}: expected messages with role and content, both texts; got {message!r:.80}; correct or drop the record"
    )


def _holds(value: Any) -> bool:
    return value is not None and not (hasattr(value, "__len__") and len(value) == 0)
