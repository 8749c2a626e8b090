"""A text task as plain data: what every reader returns and every benchmark is built from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from ...rehearsal.sampling import balanced_choice
from .known import known_task

SPLITS = ("train", "dev", "test")
METRICS = ("exact_match", "rouge_l", "edit_similarity", "first_letter")


@dataclass(frozen=True)
class TextExample:
    """One prompt with its reference answers; the first is the one that is trained on."""

    prompt: str
    references: tuple[str, ...]

    @property
    def answer(self) -> str:
        """The answer to train on."""
        return self.references[0]


@dataclass(frozen=True)
class TextTask:
    """One task of a stream.

    :param name: its name, unique in a stream.
    :param train: training examples.
    :param dev: development examples, may be empty.
    :param test: test examples.
    :param labels: the closed set of answers, or None for open generation.
    :param metric: how answers are scored, one of :data:`METRICS`.
    :raises ValueError: for an empty train or test split, a prompt without text, or an answer that is not among the
        labels.
    """

    name: str
    train: tuple[TextExample, ...]
    dev: tuple[TextExample, ...]
    test: tuple[TextExample, ...]
    labels: tuple[str, ...] | None
    metric: str = "exact_match"

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.metric not in METRICS:
            raise ValueError(
                f"task {self.name!r:.80}: expected one of the metrics {', '.join(METRICS)}, got {self.metric!r:.80}"
            )
        if self.labels is not None and not all(isinstance(label, str) for label in self.labels):
            raise ValueError(f"task {self.name!r:.80}: expected labels to be texts, got {list(self.labels)!r:.80}")
        for split in ("train", "test"):
            if not self.split(split):
                raise ValueError(f"task {self.name!r}: its {split} split is empty; expected at least one example")
        labels = set(self.labels or ())
        for split in SPLITS:
            for row, example in enumerate(self.split(split)):
                if not example.prompt.strip():
                    raise ValueError(
                        f"task {self.name!r}, {split} example {row}: expected a prompt with text, "
                        f"got {example.prompt!r}"
                    )
                if self.labels is not None and example.answer not in labels:
                    raise ValueError(
                        f"task {self.name!r}, {split} example {row}: expected one of the task's labels "
                        f"{list(self.labels)!r:.400}, got the answer {example.answer!r:.80}; a label must occur in "
                        "training, or be listed in labels"
                    )

    @classmethod
    def from_lists(
        cls,
        name: str,
        train: Iterable[tuple[str, str | Sequence[str]]],
        test: Iterable[tuple[str, str | Sequence[str]]],
        dev: Iterable[tuple[str, str | Sequence[str]]] = (),
        labels: Sequence[str] | Literal["auto"] | None = "auto",
        metric: str | None = None,
    ) -> "TextTask":
        """Make a task from pairs of prompt and answer.

        >>> TextTask.from_lists("sums", train=[("1 + 1 =", "2")], test=[("2 + 1 =", ["3", "three"])]).labels is None
        True

        :param name: its name, unique in a stream.
        :param train: pairs of a prompt and its answer, or a prompt and its accepted answers.
        :param test: likewise.
        :param dev: likewise, may be empty.
        :param labels: the closed set of answers, None for open generation, or "auto" to find it in ``train``
            (:func:`closed_labels`).
        :param metric: one of :data:`METRICS`; by default the one that suits the task.
        :raises ValueError: for a pair that is none, or whatever :class:`TextTask` refuses.
        """
        _check_name(name)
        splits = {split: _pairs(name, split, pairs)
                  for split, pairs in (("train", train), ("dev", dev), ("test", test))}  # fmt: skip
        chosen = closed_labels(splits["train"]) if labels == "auto" else labels
        if chosen is not None and (isinstance(chosen, str) or not isinstance(chosen, Sequence)):
            raise ValueError(f'task {name!r:.80}: expected labels to be a list, "auto" or None, got {chosen!r:.80}')
        found = None if chosen is None else tuple(chosen)
        metric = metric or metric_of(name, found)
        return cls(name, splits["train"], splits["dev"], splits["test"], found, metric)

    def split(self, name: str) -> tuple[TextExample, ...]:
        """Return the examples of a split.

        :param name: "train", "dev" or "test".
        """
        return getattr(self, name)

    def sample(self, train: int | None, evaluation: int | None, seed: int) -> "TextTask":
        """Return the task with at most so many examples, chosen at random, evenly over the labels.

        :param train: training examples to keep, or None for all.
        :param evaluation: dev and test examples to keep, each, or None for all.
        :param seed: of the choice; the choice in one split does not depend on the others.
        """
        return replace(
            self,
            train=_sample(self.train, train, seed),
            dev=_sample(self.dev, evaluation, seed),
            test=_sample(self.test, evaluation, seed),
        )


MOST_LABELS = 100
"""Of a closed task, where nothing says that it is closed."""


def closed_labels(examples: Iterable[TextExample]) -> tuple[str, ...] | None:
    """Find the closed label set of a task from its training answers, sorted; None for open generation.

    A task counts as closed when its answers are few and repeat: at most :data:`MOST_LABELS`, and at least four
    examples an answer on average.
    """
    answers = [example.answer for example in examples]
    distinct = set(answers)
    if len(distinct) > MOST_LABELS or 4 * len(distinct) > len(answers):
        return None
    return tuple(sorted(distinct))


def metric_of(name: str, labels: Sequence[str] | None) -> str:
    """Return how a task is scored: as published where it is known, else by the kind of its answers."""
    known = known_task(name)
    return known.metric if known else "rouge_l" if labels is None else "exact_match"


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"task: expected a name that is a text and not empty, got {name!r:.80}")


def _pairs(name: str, split: str, pairs: object) -> tuple[TextExample, ...]:
    if isinstance(pairs, (str, bytes, dict)) or not isinstance(pairs, Iterable):
        raise ValueError(
            f"task {name!r:.80}: expected {split} to be a list of pairs (prompt, answer), got {pairs!r:.80}"
        )
    return tuple(_pair(name, split, row, pair) for row, pair in enumerate(pairs))


def _pair(name: str, split: str, row: int, pair: object) -> TextExample:
    if isinstance(pair, (tuple, list)) and len(pair) == 2:
        prompt, answer = pair
        references = (answer,) if isinstance(answer, str) else answer
        texts = isinstance(references, (tuple, list)) and all(isinstance(text, str) for text in references)
        if isinstance(prompt, str) and texts and references:
            return TextExample(prompt, tuple(references))
    raise ValueError(
        f"task {name!r}, {split} example {row}: expected a pair (prompt, answer), the answer a text or a list of "
        f"texts; got {pair!r:.80}"
    )


def _sample(examples: tuple[TextExample, ...], size: int | None, seed: int) -> tuple[TextExample, ...]:
    if size is None:
        return examples
    if size < 1:
        raise ValueError(f"examples a task: expected at least 1 or None for all, got {size}")
    generator = torch.Generator().manual_seed(seed)
    rows = balanced_choice([example.answer for example in examples], size, generator)
    return tuple(examples[row] for row in rows)
