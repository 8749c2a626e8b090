"""The Standard CL and Long-sequence tasks and MMLU-Pro's domains from the Hugging Face Hub, through ``datasets``.

The published files are samples of these data sets in prompts of their authors; this is our own mapping. Dev rows
are cut from the training data, never from the test data, and test rows are those with public labels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .known import LONG_SEQUENCE_TASKS, known_task
from .layouts.mmlu_pro import HUB as MMLU_PRO
from .layouts.mmlu_pro import LETTERS, domain_records, is_domain
from .orders import canonical
from .tasks import SPLITS, TextExample, TextTask
from .templates import choice_prompt


@dataclass(frozen=True)
class HubSource:
    """Where a task is on the Hub and how its rows become prompts.

    :param path: the data set's id.
    :param config: its configuration, or None.
    :param text: the text of a row, with the row's fields in braces.
    :param labels: the answer of each class number, in the data set's order.
    :param label: the field of the class number.
    :param test: the split that is tested on.
    """

    path: str
    config: str | None
    text: str
    labels: tuple[str, ...]
    label: str = "label"
    test: str = "test"


_PAIR = "sentence 1: {premise}\nsentence 2: {hypothesis}"
_ALTERNATIVES = (
    'Which sentence is the {question} of "{premise}"? Choose one between A and B.\nA: {choice1}\nB: {choice2}'
)
_FALSE_TRUE = ("False", "True")
_GLUE, _SUPERGLUE = "nyu-mll/glue", "aps/super_glue"


_LABELS = {name: task.labels[0] for name, task in LONG_SEQUENCE_TASKS.items()}
"""Of the tasks whose class numbers follow the order in which the field lists them."""

HUB_SOURCES: dict[str, HubSource] = {
    "agnews": HubSource("fancyzhx/ag_news", None, "{text}", _LABELS["agnews"]),
    # The collection of the papers (Zhang et al., 2015) is not there; this one is smaller and has the same five stars.
    "amazon": HubSource("SetFit/amazon_reviews_multi_en", None, "{text}", _LABELS["amazon"]),
    "boolqa": HubSource(
        _SUPERGLUE, "boolq", "question: {question}\npassage: {passage}", _FALSE_TRUE, test="validation"
    ),
    "cb": HubSource(_SUPERGLUE, "cb", _PAIR, _LABELS["cb"], test="validation"),
    "copa": HubSource(_SUPERGLUE, "copa", _ALTERNATIVES, _LABELS["copa"], test="validation"),
    "dbpedia": HubSource("fancyzhx/dbpedia_14", None, "Title: {title}\nText: {content}", _LABELS["dbpedia"]),
    "imdb": HubSource("stanfordnlp/imdb", None, "{text}", ("Bad", "Good")),
    "mnli": HubSource(_GLUE, "mnli", _PAIR, _LABELS["mnli"], test="validation_matched"),
    "multirc": HubSource(
        _SUPERGLUE,
        "multirc",
        "paragraph: {paragraph}\nquestion: {question}\ncandidate answer: {answer}",
        _FALSE_TRUE,
        test="validation",
    ),
    "qqp": HubSource(
        _GLUE, "qqp", "first sentence: {question1}\nsecond sentence: {question2}", _FALSE_TRUE, test="validation"
    ),
    "rte": HubSource(
        _GLUE,
        "rte",
        "sentence 1: {sentence1}\nsentence 2: {sentence2}",
        _LABELS["rte"],
        test="validation",
    ),
    "sst2": HubSource(_GLUE, "sst2", "Text: {sentence}", ("Bad", "Good"), test="validation"),
    "wic": HubSource(_SUPERGLUE, "wic", "word: {word}\n{sentence1}\n{sentence2}", _FALSE_TRUE, test="validation"),
    "yahoo": HubSource(
        "community-datasets/yahoo_answers_topics",
        None,
        "Title: {question_title}\nQuestion: {question_content}\nAnswer: {best_answer}",
        _LABELS["yahoo"],
        label="topic",
    ),
    "yelp": HubSource("Yelp/yelp_review_full", None, "{text}", _LABELS["yelp"]),
}
"""By canonical task name."""


TRAIN_ROWS, EVAL_ROWS = 1000, 500
"""Training rows that are kept, chosen at random, as in the published files; and dev and test rows, each."""


def read_hub_task(name: str, load: Callable[..., Any] | None = None) -> TextTask:
    """Read a task from the Hub, :data:`TRAIN_ROWS` and :data:`EVAL_ROWS`; dev is at most a tenth of its training data.

    A domain of MMLU-Pro has all rows of its splits.

    :param name: the task, in any spelling.
    :param load: what loads a data set, by default ``datasets.load_dataset``.
    :raises ValueError: for a task that is neither in :data:`HUB_SOURCES` nor a domain of MMLU-Pro, or a row that is
        not what the mapping says.
    :raises ImportError: without ``datasets``.
    """
    source = HUB_SOURCES.get(canonical(name))
    if source is None and not is_domain(name):
        raise ValueError(
            f"data 'hub': expected one of {', '.join(HUB_SOURCES)}, or a domain of MMLU-Pro; got {name!r}. Give a "
            "folder instead"
        )
    load = load or _load_dataset()
    if source is None:
        return _read_domain(name, load)
    train, test = (load(source.path, source.config, split=split).shuffle(seed=0) for split in ("train", source.test))
    n_dev = min(EVAL_ROWS, len(train) // 10)
    return TextTask(
        name,
        train=_examples(source, name, train, range(n_dev, min(n_dev + TRAIN_ROWS, len(train)))),
        dev=_examples(source, name, train, range(n_dev)),
        test=_examples(source, name, test, range(min(EVAL_ROWS, len(test)))),
        labels=source.labels,
    )


def _read_domain(name: str, load: Callable[..., Any]) -> TextTask:
    """Read a domain of MMLU-Pro, split as :mod:`~avalanche_aim.text.data.layouts.mmlu_pro` does."""
    found = {canonical(d): s for d, s in domain_records(load(MMLU_PRO, split="test"), MMLU_PRO).items()}
    if canonical(name) not in found:
        raise ValueError(f"{MMLU_PRO}: expected the domain {name!r}, got {', '.join(found):.400}; the data set has "
                         "changed on the Hub, give a folder instead")  # fmt: skip
    rows = found[canonical(name)]
    train, dev, test = (tuple(TextExample(row["prompt"], (row["answer"],)) for row in rows[split]) for split in SPLITS)
    return TextTask(name, train, dev, test, LETTERS)


def _load_dataset() -> Callable[..., Any]:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise ImportError("data 'hub': expected the package datasets; pip install 'avalanche-aim[hub]'") from error
    return load_dataset


def _examples(source: HubSource, name: str, rows: Any, chosen: Sequence[int]) -> tuple[TextExample, ...]:
    kind = getattr(known_task(name), "kind", None) or "other"
    return tuple(_example(source, kind, number, row) for number, row in zip(chosen, rows.select(chosen), strict=True))


def _example(source: HubSource, kind: str, number: int, row: dict[str, Any]) -> TextExample:
    try:
        text, label = source.text.format(**row), row[source.label]
    except KeyError as error:
        raise ValueError(
            f"{source.path}, row {number}: expected the field {error}, got {sorted(row)!r:.200}; the data set has "
            "changed on the Hub, give a folder instead"
        ) from error
    if label not in range(len(source.labels)):
        raise ValueError(
            f"{source.path}, row {number}: expected {source.label!r} below {len(source.labels)}, got {label!r:.80}; "
            "rows without a public label cannot be used"
        )
    return TextExample(choice_prompt(kind, source.labels, text), (source.labels[label],))
