"""Scores of one generated answer against its references."""

from collections.abc import Sequence


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
    if not references:
        raise ValueError("references: expected at least one accepted answer, got none")
    return float(any(normalise(prediction) == normalise(reference) for reference in references))
