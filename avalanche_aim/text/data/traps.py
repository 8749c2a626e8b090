"""Traps in published data: what is readable, and not what one would expect. They are named, never repaired."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass

from .known import PLACEHOLDERS, kind_of_question, known_task
from .tasks import SPLITS, TextExample, TextTask

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
    "unused_fields": "what these fields hold is not part of any prompt; name the columns that are (docs/data.md)",
    "other_labels_listed": "the records' own are used, as their prompts are likely to name them",
}
"""Every kind of trap, with what it means for the result."""


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

    :param tasks: the tasks it is read with, to find instructions that belong to another one.
    :param instructed: False if its source carries no instructions and a template of ours stands in.
    """
    traps = [*_overlaps(task), *_label_traps(task), *_row_traps(task)]
    if not instructed:
        ours = _instruction(task.train[0].prompt)
        traps.append(("no_instruction", f"no row carries one; ours stands in: {ours!r}"))
    for instruction, rows in _shared_instructions(task).items():
        traps.extend(_instruction_traps(task, instruction, rows, tasks))
    return [Trap(kind, task.name, detail) for kind, detail in traps]


def _overlaps(task: TextTask) -> Iterable[tuple[str, str]]:
    prompts = {split: Counter(example.prompt for example in task.split(split)) for split in SPLITS}
    for one, other in (("dev", "test"), ("train", "test"), ("train", "dev")):
        both = prompts[one].keys() & prompts[other].keys()
        if both:
            first, second = (sum(prompts[split][prompt] for prompt in both) for split in (one, other))
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
    checks: dict[str, Callable[[str], bool]] = {
        "placeholder_labels": lambda answer: answer in PLACEHOLDERS,
        "empty_outputs": lambda answer: not answer,
    }
    for name, holds in checks.items():
        found = [example for split in SPLITS for example in task.split(split) if holds(example.answer.strip())]
        if found:
            counts = _counts(task, {id(example) for example in found})
            yield name, counts + f" are labelled {found[0].answer!r}" * (name == "placeholder_labels")
    conflicts = _conflicts(task)
    if task.labels is not None and conflicts:
        yield "conflicting_labels", f"{conflicts} prompts stand there with different labels"


def _instruction_traps(
    task: TextTask, instruction: str, rows: Sequence[TextExample], tasks: Sequence[TextTask]
) -> Iterable[tuple[str, str]]:
    """The traps of an instruction that these rows of a task share."""
    counts = _counts(task, {id(example) for example in rows})
    if not instruction:
        yield "no_instruction", counts
        return
    known, asked = known_task(task.name), kind_of_question(instruction)
    if known and known.kind and asked not in (None, known.kind):
        yield "foreign_instruction", f"{counts} ask {instruction!r}"
    elif other := _task_with_these_labels(task, instruction, tasks):
        yield "foreign_instruction", f"{counts} ask {instruction!r}, which names the labels of {other!r}"
    if task.labels is None or not (options := _options(instruction, task.labels)):
        return
    unnamed = {label for label in _answers(rows) if not _names(options, label)}
    if missing := [example for example in rows if example.answer.strip() in unnamed]:
        counts = _counts(task, {id(example) for example in missing})
        yield "options_without_label", f"{counts}, such as {missing[0].answer!r} for {instruction!r}"


def _counts(task: TextTask, rows: Set[int]) -> str:
    counts = ((sum(id(example) in rows for example in task.split(split)), split) for split in SPLITS)
    return ", ".join(f"{count} of {len(task.split(split))} {split} rows" for count, split in counts)


def _shared_instructions(task: TextTask) -> dict[str, list[TextExample]]:
    """The rows of each instruction that half of the task's rows, or of those of a split, have in common.

    In a prompt without an instruction the first line is the text itself, which may look like anything by chance.
    """
    of = {split: [_instruction(example.prompt) for example in task.split(split)] for split in SPLITS}
    whole = [instruction for instructions in of.values() for instruction in instructions]
    shared: dict[str, list[TextExample]] = {}
    for instructions, least in [(whole, 2), *((instructions, 10) for instructions in of.values())]:
        counts = Counter(instructions).items()
        shared.update((text, []) for text, count in counts if count >= least and 2 * count >= len(instructions))
    for split in SPLITS:
        for example, instruction in zip(task.split(split), of[split], strict=True):
            if instruction in shared:
                shared[instruction].append(example)
    return shared


def _instruction(prompt: str) -> str:
    """The part of a prompt that says what to do: what [INS] marks, or else the first line."""
    if prompt.startswith(("[INS]", "[IN]")):
        return prompt.partition("[IN]")[0].removeprefix("[INS]").strip()
    return prompt.lstrip().partition("\n")[0].strip()


def _task_with_these_labels(task: TextTask, instruction: str, tasks: Sequence[TextTask]) -> str | None:
    """Another task all of whose labels an instruction names, where it names none of the task's own."""
    if task.labels is None or any(_names(instruction, label) for label in task.labels):
        return None
    for other in tasks:
        if other is not task and other.labels and all(_names(instruction, label) for label in other.labels):
            return other.name
    return None


def _options(instruction: str, labels: Sequence[str]) -> str | None:
    """The list of labels at the end of an instruction, if it is one: it names a label, or has as many entries."""
    match = re.search(r"\boptions?: (.+?)\.?$", instruction, re.IGNORECASE)
    if match and (any(_names(match[1], label) for label in labels) or len(match[1].split(", ")) == len(labels)):
        return match[1]
    return None


def _names(text: str, label: str) -> bool:
    """Whether a text names a label, as whole words."""
    return bool(label.strip()) and bool(re.search(rf"(?<!\w){re.escape(label.strip())}(?!\w)", text))


def _offered(task: TextTask) -> bool:
    """Whether most prompts name their one-letter answer, as a multiple-choice question does."""
    return 2 * sum(_names(example.prompt, example.answer) for example in task.train) > len(task.train)


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
