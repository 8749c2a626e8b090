"""Traps in published data: what is readable, and not what one would expect. They are named, never repaired."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .known import known_task
from .tasks import SPLITS, TextExample, TextTask

PLACEHOLDERS = ("-",)
"""Labels that stand for "no label"."""

MEANINGS = {
    "dev_in_test": "choosing a model on dev is choosing it on test; report test scores of the last model only",
    "train_in_test": "the test score counts rows that were trained on; it is too high",
    "train_in_dev": "the dev score counts rows that were trained on; it is too high",
    "truncated_labels": "the model learns single letters instead of words, and words of one initial become one class; "
    "scores compare with no other data",
    "missing_labels": "no training row has them: the task is easier than the published one",
    "unknown_labels": "scores compare with published ones only if these are the same classes under other names",
    "untrained_labels": "these rows can hardly be answered right",
    "placeholder_labels": "these rows have no answer, and the placeholder is one more class: train rows teach it, "
    "dev and test rows count as wrong unless the model gives it",
    "empty_outputs": "in train these rows teach to answer nothing, in dev and test they reward it",
    "no_instruction": "the files do not say what to do; any wording is a choice, and scores depend on it",
    "foreign_instruction": "the model is asked one thing and scored on another; scores depend on what it ignores",
    "options_without_label": "the right answer is not among those offered; these rows count as wrong for a model that "
    "follows its prompt",
    "conflicting_labels": "not all of these rows can be answered right",
}
"""Every kind of trap, with what it means for the result."""

# How the question of each kind of task is recognised, in the published wordings and in ours.
_SIGNS = {
    "sentiment": r"sentiment",
    "topic": r"topic",
    "nli": r"logical relationship|relationship between them|entail",
    "paraphrase": r"same meaning",
    "boolean": r"question true or false",
    "candidate": r"candidate answer",
    "sense": r"same sense",
    "choice": r"plausible|the cause|the effect|between A and B",
}


@dataclass(frozen=True)
class Trap:
    """One trap of one task.

    :param kind: a key of :data:`MEANINGS`.
    :param task: the task's name.
    :param detail: what was found, with counts.
    """

    kind: str
    task: str
    detail: str

    @property
    def meaning(self) -> str:
        """What it means for the result."""
        return MEANINGS[self.kind]

    def __str__(self) -> str:
        return f"task {self.task!r}, {self.kind}: {self.detail}; {self.meaning}"


def find_traps(task: TextTask, tasks: Sequence[TextTask] = (), instructed: bool = True) -> list[Trap]:
    """Find the known traps of a task.

    :param task: the task.
    :param tasks: the tasks it is read with, to find instructions that belong to another one.
    :param instructed: False if its source carries no instructions and a template of ours stands in.
    """
    traps = [*_overlaps(task), *_label_traps(task), *_row_traps(task)]
    if not instructed:
        ours = _instruction(task.train[0].prompt)
        traps.append(("no_instruction", f"no row carries one; ours stands in: {ours!r}"))
    other = _instruction_of_another(task, tasks)
    if other:
        traps.append(("foreign_instruction", f"its instruction is also that of {other!r}, which has other labels"))
    return [Trap(kind, task.name, detail) for kind, detail in traps]


def _overlaps(task: TextTask) -> Iterable[tuple[str, str]]:
    for one, other in (("dev", "test"), ("train", "test"), ("train", "dev")):
        prompts = [{example.prompt for example in task.split(split)} for split in (one, other)]
        first, second = (sum(e.prompt in prompts[0] & prompts[1] for e in task.split(split)) for split in (one, other))
        if first:
            sizes = len(task.split(one)), len(task.split(other))
            same = f": {one} is {other}" if (first, second) == sizes else f", all of {other}" * (second == sizes[1])
            yield f"{one}_in_{other}", f"{first} of {sizes[0]} {one} rows are {second} of {sizes[1]} {other} rows{same}"


def _label_traps(task: TextTask) -> Iterable[tuple[str, str]]:
    known = known_task(task.name)
    if task.labels is None:
        return
    seen = {split: _answers(task.split(split)) for split in SPLITS}
    every = set().union(*seen.values())
    untrained = every - seen["train"]
    if untrained:
        yield "untrained_labels", f"{_words(untrained)} never in train, only in dev or test"
    usual = known.labels if known else ()
    letters = bool(every) and all(len(answer) == 1 and answer.isalpha() for answer in every)
    if not usual:
        if letters and not _offered(task):
            yield "truncated_labels", f"every output is one letter ({_words(every)}) that its prompt does not offer"
    elif letters and max(map(len, usual[0])) > 1 and every <= {label[0] for label in usual[0]}:
        first = Counter(label[0] for label in usual[0])
        merged = [label for label in usual[0] if first[label[0]] > 1]
        wants = f"{len(usual[0])} ({_words(usual[0])})" + f", {' and '.join(merged)} are one" * bool(merged)
        yield "truncated_labels", f"every output is one letter: {len(every)} ({_words(every)}) of the task's {wants}"
    elif not any(every <= set(labels) for labels in usual):
        unknown = every - set().union(*usual)
        yield "unknown_labels", f"{_words(unknown or every)}; published are {' or '.join(map(_words, usual))}"
    else:
        missing = min((set(labels) - seen["train"] for labels in usual if every <= set(labels)), key=len)
        if missing:
            have = len(seen["train"])
            yield "missing_labels", f"{have} labels where the task has {have + len(missing)}; {_words(missing)} missing"


def _row_traps(task: TextTask) -> Iterable[tuple[str, str]]:
    checks: list[tuple[str, Callable[[TextExample], bool]]] = [
        ("placeholder_labels", lambda example: example.answer.strip() in PLACEHOLDERS),
        ("empty_outputs", lambda example: not example.answer.strip()),
        ("no_instruction", lambda example: _instruction(example.prompt) == ""),
    ]
    known = known_task(task.name)
    if known and known.kind:
        kind = known.kind  # bound here: a lambda would see it as optional
        checks.append(("foreign_instruction", lambda example: _is_foreign(kind, _instruction(example.prompt))))
    if task.labels is not None:
        checks.append(("options_without_label", _not_among_options))
    for name, holds in checks:
        rows = {split: [example for example in task.split(split) if holds(example)] for split in SPLITS}
        if any(rows.values()):
            counts = ", ".join(f"{len(rows[split])} of {len(task.split(split))} {split} rows" for split in SPLITS)
            yield name, counts + _example_of(name, next(examples[0] for examples in rows.values() if examples))
    conflicts = _conflicts(task)
    if task.labels is not None and conflicts:
        yield "conflicting_labels", f"{conflicts} prompts stand there with different labels"


def _example_of(kind: str, example: TextExample) -> str:
    if kind == "foreign_instruction":
        return f" ask {_instruction(example.prompt)!r}"
    if kind == "options_without_label":
        return f", such as {example.answer!r} for {_instruction(example.prompt)!r}"
    if kind == "placeholder_labels":
        return f" are labelled {example.answer!r}"
    return ""


def _instruction(prompt: str) -> str:
    """The part of a prompt that says what to do: what [INS] marks, or else the first line."""
    if prompt.startswith(("[INS]", "[IN]")):
        return prompt.partition("[IN]")[0].removeprefix("[INS]").strip()
    return prompt.lstrip().partition("\n")[0].strip()


def _is_foreign(kind: str, instruction: str) -> bool:
    """Whether an instruction asks for another kind of answer, and not for this one."""
    if re.search(_SIGNS[kind], instruction, re.IGNORECASE):
        return False
    return any(re.search(sign, instruction, re.IGNORECASE) for other, sign in _SIGNS.items() if other != kind)


def _instruction_of_another(task: TextTask, tasks: Sequence[TextTask]) -> str | None:
    """The task whose instruction this one shares without offering the same labels, where neither lists its options."""
    mine = _shared_instruction(task)
    known = known_task(task.name)
    if not mine or not task.labels or _options(mine) or (known and known.kind):
        return None
    for other in tasks:
        apart = other.labels is not None and not set(other.labels) & set(task.labels)
        if other is not task and apart and _shared_instruction(other) == mine:
            return other.name
    return None


def _shared_instruction(task: TextTask) -> str | None:
    instructions = {_instruction(example.prompt) for example in task.train}
    return instructions.pop() if len(instructions) == 1 else None


def _options(instruction: str) -> list[str]:
    match = re.search(r"options?: (.+?)\.?$", instruction, re.IGNORECASE)
    return match.group(1).split(", ") if match else []


def _not_among_options(example: TextExample) -> bool:
    options = _options(_instruction(example.prompt))
    return bool(options) and example.answer.strip() not in (*options, *PLACEHOLDERS, "")


def _offered(task: TextTask) -> bool:
    """Whether most prompts name their one-letter answer, as a multiple-choice question does."""
    found = sum(bool(re.search(rf"(?<!\w){re.escape(e.answer.strip())}(?!\w)", e.prompt)) for e in task.train)
    return 2 * found > len(task.train)


def _answers(examples: Iterable[TextExample]) -> set[str]:
    return {example.answer.strip() for example in examples} - {"", *PLACEHOLDERS}


def _conflicts(task: TextTask) -> int:
    answers: dict[str, set[str]] = defaultdict(set)
    for split in SPLITS:
        for example in task.split(split):
            answers[example.prompt].add(example.answer)
    return sum(len(found) > 1 for found in answers.values())


def _words(labels: Iterable[str], limit: int = 6) -> str:
    names = list(labels) if isinstance(labels, tuple) else sorted(labels)
    return ", ".join(names[:limit]) + (f", … ({len(names)})" if len(names) > limit else "")
