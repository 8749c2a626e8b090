"""Scores of single answers, with ROUGE-L worked out by hand."""

import pytest

from avalanche_aim.evaluation import SCORES, exact_match, rouge_l
from avalanche_aim.evaluation.scores import edit_similarity, first_letter
from avalanche_aim.text.data.tasks import METRICS


@pytest.mark.parametrize("prediction", ["World", " world\n", "WORLD"])
def test_exact_match_ignores_case_and_outer_space(prediction: str) -> None:
    assert exact_match(prediction, ["world"]) == 1.0


def test_exact_match_of_any_reference_counts() -> None:
    assert exact_match("b", ["a", "b"]) == 1.0
    assert exact_match("c", ["a", "b"]) == 0.0


def test_rouge_l_is_the_f_measure_of_the_longest_common_subsequence() -> None:
    # common: "the cat mat"; precision 3/4, recall 3/6, F = 2 · 0.75 · 0.5 / 1.25
    assert rouge_l("the cat a mat", ["the cat sat on the mat"]) == pytest.approx(0.6)


def test_rouge_l_respects_word_order() -> None:
    assert rouge_l("b a", ["a b"]) == pytest.approx(0.5)


def test_rouge_l_stems_words() -> None:
    assert rouge_l("two running dogs", ["two run dog"]) == pytest.approx(1.0)


def test_rouge_l_takes_the_best_reference() -> None:
    assert rouge_l("red car", ["blue bike", "Red Car"]) == pytest.approx(1.0)


@pytest.mark.parametrize("prediction", ["", "…", "\n"])
def test_rouge_l_of_nothing_is_zero(prediction: str) -> None:
    assert rouge_l(prediction, ["something"]) == 0.0


def test_edit_similarity_is_twice_the_matching_characters_over_all() -> None:
    assert edit_similarity("abcd", ["abxd"]) == pytest.approx(2 * 3 / 8)
    assert edit_similarity("abcd", ["xyz", "abcd"]) == 1.0
    assert edit_similarity("", ["abc"]) == 0.0


def test_edit_similarity_reads_literals_for_their_placeholders() -> None:
    assert edit_similarity("x = 0", ["x = <NUM_LIT>"]) == 1.0
    assert edit_similarity("f ( 'a' , 12 )", ["f ( <STR_LIT:'a'> , <NUM_LIT:12> )"]) == 1.0
    assert edit_similarity("g ( )", ["g (<STR_LIT> )"]) == 1.0


@pytest.mark.parametrize(
    ("prediction", "score"), [("A\nBecause", 1.0), (" Answer: A", 1.0), ("B\nBecause", 0.0), ("", 0.0), ("a", 0.0)]
)
def test_the_first_letter_decides_and_no_reason_after_it(prediction: str, score: float) -> None:
    assert first_letter(prediction, ["A\nBecause experiments answer questions."]) == score


def test_scores_lists_the_metrics_that_tasks_can_name() -> None:
    assert tuple(SCORES) == METRICS


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
@pytest.mark.parametrize("references", [[], "text"])
def test_references_must_be_a_sequence_of_texts(score: object, references: object) -> None:
    with pytest.raises(ValueError, match="at least one accepted answer"):
        score("a", references)  # type: ignore[operator]
