"""Scores of one generated answer against its references, each in [0, 1].

A score takes the generated answer and the accepted ones, of which it refuses an empty list with a ``ValueError``; the
best of them counts.
"""

import re
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from functools import cache
from typing import Any


def normalise(text: str) -> str:
    """Lower-case and strip, as the published code does before it compares."""
    return text.strip().lower()


def exact_match(prediction: str, references: Sequence[str]) -> float:
    """1 if the prediction equals one of the references after :func:`normalise`, else 0."""
    _check(references)
    return float(any(normalise(prediction) == normalise(reference) for reference in references))


def rouge_l(prediction: str, references: Sequence[str]) -> float:
    """ROUGE-L: the F-measure of the longest common subsequence of stemmed words, the best over the references.

    Lin, *ROUGE* (2004), section 3, as in the evaluation of Super-NaturalInstructions (Wang et al. 2022): package
    ``rouge-score``, Porter stemming. Words are runs of a–z and 0–9; a text without any scores 0, even against
    itself.
    """
    _check(references)
    scores = _rouge_scorer().score_multi([normalise(reference) for reference in references], normalise(prediction))
    return float(scores["rougeL"].fmeasure)


def edit_similarity(prediction: str, references: Sequence[str]) -> float:
    """How alike two lines of code are: 2 M / T, M the characters in matching blocks, T those of both; the best one.

    As TRACE scores Py150 (arXiv 2310.06762): placeholders of literals (``<STR_LIT:text>``) give way to their text, and
    then it is ``fuzzywuzzy``'s ratio, which without python-Levenshtein is that of :mod:`difflib`, taken here, and with
    it counts matching characters a little otherwise.
    """
    _check(references)
    code = _literals(prediction)
    return max(SequenceMatcher(None, code, _literals(reference)).ratio() for reference in references)


def first_letter(prediction: str, references: Sequence[str]) -> float:
    """1 if the prediction begins with the letter that a reference begins with, after an ``Answer:``, else 0.

    The accuracy of ScienceQA in TRACE, whose answers are a letter and the reason for it, which is not scored.
    """
    _check(references)
    letter = _letter(prediction)
    return float(bool(letter) and any(letter == _letter(reference) for reference in references))


SCORES: dict[str, Callable[[str, Sequence[str]], float]] = {
    score.__name__: score for score in (exact_match, rouge_l, edit_similarity, first_letter)
}
"""The score of each metric that a :class:`~avalanche_aim.text.TextTask` can name."""


def _literals(code: str) -> str:
    """Put literals where an anonymised text has placeholders for them: their own text, or nothing, or 0."""
    return re.sub(r"<(STR|NUM|CHAR)_LIT(?::(.*?))?>", _literal, code.strip(), flags=re.DOTALL)


def _literal(found: re.Match[str]) -> str:
    kind, text = found.groups()
    return text if text is not None else "0" if kind == "NUM" else ""


def _letter(answer: str) -> str:
    return answer.strip().removeprefix("Answer:").strip()[:1]


@cache
def _rouge_scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer  # takes a second or two, and only open generation needs it

    return RougeScorer(["rougeL"], use_stemmer=True)


def _check(references: Sequence[str]) -> None:
    if isinstance(references, str) or not references:
        raise ValueError(f"references: expected a sequence of at least one accepted answer, got {references!r}")
