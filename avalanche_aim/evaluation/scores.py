"""Scores of one generated answer against its references, each in [0, 1]."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any


def normalise(text: str) -> str:
    """Lower-case and strip, as the published code does before it compares.

    :param text: an answer.
    """
    return text.strip().lower()


def exact_match(prediction: str, references: Sequence[str]) -> float:
    """1 if the prediction equals one of the references after :func:`normalise`, else 0.

    :param prediction: the generated answer.
    :param references: the accepted answers, at least one.
    :raises ValueError: without a reference.
    """
    _check(references)
    return float(any(normalise(prediction) == normalise(reference) for reference in references))


def rouge_l(prediction: str, references: Sequence[str]) -> float:
    """ROUGE-L: the F-measure of the longest common subsequence of stemmed words, the best over the references.

    Lin, *ROUGE* (2004), section 3, as in the evaluation of Super-NaturalInstructions (Wang et al. 2022): package
    ``rouge-score``, Porter stemming. Words are runs of a–z and 0–9; a text without any scores 0, even against
    itself.

    :param prediction: the generated answer.
    :param references: the accepted answers, at least one.
    :raises ValueError: without a reference.
    """
    _check(references)
    scores = _rouge_scorer().score_multi([normalise(reference) for reference in references], normalise(prediction))
    return float(scores["rougeL"].fmeasure)


SCORES: dict[str, Callable[[str, Sequence[str]], float]] = {"exact_match": exact_match, "rouge_l": rouge_l}
"""The score of each metric that a :class:`~avalanche_aim.text.TextTask` can name."""


@cache
def _rouge_scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer  # takes a second or two, and only open generation needs it

    return RougeScorer(["rougeL"], use_stemmer=True)


def _check(references: Sequence[str]) -> None:
    if isinstance(references, str) or not references:
        raise ValueError(f"references: expected a sequence of at least one accepted answer, got {references!r}")
