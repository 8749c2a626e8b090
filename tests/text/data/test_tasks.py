"""A text task as plain data."""

from collections import Counter
from typing import Any

import pytest

from avalanche_aim.text import TextExample, TextTask
from avalanche_aim.text.data.tasks import MOST_LABELS, closed_labels


def examples(*answers: str) -> tuple[TextExample, ...]:
    return tuple(TextExample(f"prompt {row}", (answer,)) for row, answer in enumerate(answers))


def task(train: tuple[TextExample, ...], **changes: Any) -> TextTask:
    return TextTask(**{"name": "colours", "train": train, "dev": (), "test": train, "labels": None, **changes})


def test_the_first_reference_is_the_answer_to_train_on() -> None:
    assert TextExample("prompt", ("first", "second")).answer == "first"


@pytest.mark.parametrize("split", ["train", "test"])
def test_an_empty_split_is_refused_by_its_name(split: str) -> None:
    with pytest.raises(ValueError, match=f"'colours'.*{split} split is empty"):
        TextTask("colours", **{"train": examples("red"), "dev": (), "test": examples("red"), "labels": None, split: ()})


def test_the_dev_split_may_be_empty() -> None:
    assert task(examples("red")).split("dev") == ()


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_an_answer_outside_the_labels_is_refused_with_its_place(split: str) -> None:
    splits = {"train": examples("red"), "test": examples("red"), split: examples("red", "pink")}
    with pytest.raises(ValueError, match=rf"'colours', {split} example 1: expected .*\['red'\], got the answer 'pink'"):
        task(**splits, labels=("red",))


def test_few_answers_that_repeat_are_a_closed_label_set() -> None:
    assert closed_labels(examples(*["red", "blue"] * 4)) == ("blue", "red")


def test_answers_that_hardly_repeat_are_open() -> None:
    assert closed_labels(examples(*["red", "blue"] * 3, "red")) is None


@pytest.mark.parametrize(("number", "closed"), [(MOST_LABELS, True), (MOST_LABELS + 1, False)])
def test_more_answers_than_the_limit_are_open(number: int, closed: bool) -> None:
    labels = closed_labels(examples(*(f"answer {row % number}" for row in range(5 * number))))
    assert (labels is not None) == closed


def test_a_sample_is_even_over_the_labels() -> None:
    whole = task(examples(*["red"] * 30, *["blue"] * 10, *["green"] * 5))
    assert Counter(e.answer for e in whole.sample(9, None, 0).train) == {"red": 3, "blue": 3, "green": 3}


def test_a_sample_keeps_the_labels_it_has_no_example_of() -> None:
    whole = task(examples("red", "blue", "green"), labels=("blue", "green", "red"))
    assert whole.sample(1, 1, 0).labels == ("blue", "green", "red")


def test_a_sample_never_has_more_than_there_is() -> None:
    whole = task(examples("red", "blue"))
    assert whole.sample(10, 10, 0) == whole


def test_a_sample_follows_its_seed() -> None:
    whole = task(examples(*["red", "blue"] * 20))
    assert whole.sample(6, 6, 1) == whole.sample(6, 6, 1)
    assert whole.sample(6, 6, 1).train != whole.sample(6, 6, 2).train


def test_the_choice_in_one_split_does_not_depend_on_the_others() -> None:
    whole = task(examples(*["red", "blue"] * 20), dev=examples(*["red", "blue"] * 9))
    assert whole.sample(3, 6, 0).test == whole.sample(20, 6, 0).test == whole.sample(None, 6, 0).test


def test_without_a_size_everything_is_kept() -> None:
    whole = task(examples("red", "blue", "red"))
    assert whole.sample(None, None, 0) == whole


def test_a_sample_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at least 1 or None for all, got 0"):
        task(examples("red")).sample(0, None, 0)
