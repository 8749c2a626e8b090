"""Scores of one answer against its references."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avalanche_aim.evaluation import exact_match, normalise


@pytest.mark.parametrize(
    ("prediction", "reference", "score"),
    [
        ("Business", "Business", 1.0),
        ("business ", "\nBusiness", 1.0),
        ("Business", "Sports", 0.0),
        ("very good", "good", 0.0),
        ("very  good", "very good", 0.0),
        ("", "good", 0.0),
    ],
)
def test_an_answer_matches_if_it_is_the_same_but_for_case_and_space_around(
    prediction: str, reference: str, score: float
) -> None:
    assert exact_match(prediction, [reference]) == score


def test_any_of_the_references_will_do() -> None:
    assert exact_match("b", ["a", "B", "c"]) == 1.0
    assert exact_match("d", ["a", "B", "c"]) == 0.0


def test_without_a_reference_there_is_no_score() -> None:
    with pytest.raises(ValueError, match="at least one accepted answer"):
        exact_match("a", [])


@given(st.text(alphabet="aBc \n\t", max_size=8))
def test_normalising_twice_is_normalising_once(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text) == text.lower().strip()
