"""What is known of the field's tasks: how they are scored, which answers they have, what kind of question they ask.

A task's files do not say whether it is classification, and the published ones do not always agree on its labels.
Names are those of :func:`~avalanche_aim.text.data.orders.canonical`.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import permutations

from .orders import canonical

PLACEHOLDERS = ("-",)
"""Labels that stand for "no label"."""


@dataclass(frozen=True)
class KnownTask:
    """One task of the published benchmarks.

    :param closed: True for a closed label set, False for open generation.
    :param metric: how answers are scored, one of :data:`~avalanche_aim.text.data.tasks.METRICS`.
    :param kind: what its instruction asks for, a key of
        :data:`~avalanche_aim.text.data.templates.INSTRUCTIONS`, or None.
    :param labels: the label sets it has in published files, the usual one first, all in one order; empty where
        unknown.
    :param spellings: names under which repositories know it, where they differ.
    """

    closed: bool
    metric: str
    kind: str | None = None
    labels: tuple[tuple[str, ...], ...] = ()
    spellings: tuple[str, ...] = ()


def known_task(name: str) -> KnownTask | None:
    """Look a task up."""
    return KNOWN_TASKS.get(canonical(name))


def labels_as_used(name: str, listed: Sequence[str], used: Set[str]) -> tuple[str, ...]:
    """Return listed labels as the records call them, where a published list calls them otherwise (SAPT's QQP)."""
    known = known_task(name)
    for one, other in permutations(known.labels if known else (), 2):
        if set(listed) == set(one) and used and used - {"", *PLACEHOLDERS} <= set(other):
            return tuple(dict(zip(one, other, strict=True))[label] for label in listed)
    return tuple(listed)


QUESTIONS = {
    "sentiment": "What is the sentiment of the following paragraph?",
    "topic": "What is the topic of the following paragraph?",
    "nli": 'What is the logical relationship between the "sentence 1" and the "sentence 2"?',
    "paraphrase": 'Whether the "first sentence" and the "second sentence" have the same meaning?',
    "boolean": "According to the following passage, is the question true or false?",
    "candidate": "According to the following passage and question, is the candidate answer true or false?",
    "sense": "Given a word and two sentences, whether the word is used with the same sense in both sentence?",
}
"""How the AIMMerging files ask for each kind of answer; they ask COPA's rows the question of "boolean"."""


def kind_of_question(instruction: str) -> str | None:
    """Return the kind of task whose published question an instruction begins with, or None."""
    return next((kind for kind, question in QUESTIONS.items() if instruction.startswith(question)), None)


def _closed(kind: str | None, *labels: tuple[str, ...], spellings: tuple[str, ...] = ()) -> KnownTask:
    return KnownTask(True, "exact_match", kind, labels, spellings)


_STARS = ("very negative", "negative", "neutral", "positive", "very positive")
_GOOD_BAD = ("Good", "Bad")
_TRUE_FALSE = ("True", "False")
_NEWS = ("World", "Sports", "Business", "Science or Technology")
_ENTITIES = (
    "Company", "Educational Institution", "Artist", "Athlete", "Office Holder", "Mean of Transportation", "Building",
    "Natural Place", "Village", "Animal", "Plant", "Album", "Film", "Written Work",
)  # fmt: skip
_FORUM = (
    "Society & Culture", "Science & Mathematics", "Health", "Education & Reference", "Computers & Internet", "Sports",
    "Business & Finance", "Entertainment & Music", "Family & Relationships", "Politics & Government",
)  # fmt: skip

# Long-sequence; the Standard CL tasks are among them. Labels as in the files of O-LoRA and AIMMerging.
LONG_SEQUENCE_TASKS: dict[str, KnownTask] = {
    "agnews": _closed("topic", _NEWS),
    "amazon": _closed("sentiment", _STARS),
    "boolqa": _closed("boolean", _TRUE_FALSE, spellings=("boolq", "boolqa", "BoolQA")),
    "cb": _closed("nli", ("entailment", "contradiction", "neutral")),
    "copa": _closed("choice", ("A", "B")),
    "dbpedia": _closed("topic", _ENTITIES),
    "imdb": _closed("sentiment", _GOOD_BAD),
    "mnli": _closed("nli", ("entailment", "neutral", "contradiction")),
    "multirc": _closed("candidate", _TRUE_FALSE),
    "qqp": _closed("paraphrase", _TRUE_FALSE, ("yes", "no")),  # the second is SAPT's, but for its labels.json
    "rte": _closed("nli", ("entailment", "contradiction")),
    "sst2": _closed("sentiment", _GOOD_BAD, spellings=("sst-2", "sst2", "SST-2")),
    "wic": _closed("sense", _TRUE_FALSE),
    "yahoo": _closed("topic", _FORUM),
    "yelp": _closed("sentiment", _STARS),
}

# SuperNI: three tasks are scored by exact match, the others by ROUGE-L (arXiv 2509.17348).
_SUPERNI_CLOSED = {
    "task363": _closed(None, ("POS", "NEG")),
    "task875": _closed(None, ("sadness", "joy", "love", "anger", "fear", "surprise")),
    "task1687": _closed(None, ("positive", "negative")),
}
_SUPERNI_OPEN = (2, 73, 181, 511, 591, 639, 748, 1290, 1510, 1572, 1590, 1729)

# TRACE, as its evaluation code scores them (arXiv 2310.06762), but 20Minuten, which it scores by SARI. Its published
# files differ in how they write labels, so these are left to the files.
_TRACE = {
    "cstance": _closed(None),
    "fomc": _closed(None),
    "numgluecm": KnownTask(False, "exact_match"),
    "numglueds": KnownTask(False, "exact_match"),
    "scienceqa": KnownTask(False, "first_letter"),
    "meetingbank": KnownTask(False, "rouge_l"),
    "py150": KnownTask(False, "edit_similarity"),
    "20minuten": KnownTask(False, "rouge_l"),
}

KNOWN_TASKS: dict[str, KnownTask] = {
    **LONG_SEQUENCE_TASKS,
    **_SUPERNI_CLOSED,
    **{f"task{number:03d}": KnownTask(False, "rouge_l") for number in _SUPERNI_OPEN},
    **_TRACE,
}
"""By canonical name: the 15 Long-sequence, the 15 SuperNI and the 8 TRACE tasks."""
