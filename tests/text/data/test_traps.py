"""Each known trap is named, with what it means; a task without traps is left in peace."""

from collections.abc import Sequence

import pytest

from avalanche_aim.text.data.tasks import TextTask
from avalanche_aim.text.data.traps import MEANINGS, find_traps

Pairs = Sequence[tuple[str, str]]


def rows(split: str, labels: Sequence[str], instruction: str = "Which?") -> list[tuple[str, str]]:
    return [(f"{instruction}\n{split} {n}\nAnswer:", label) for n, label in enumerate(labels)]


def task(
    train: Pairs | None = None, dev: Pairs = (), test: Pairs | None = None, name: str = "own",
    labels: Sequence[str] | None = ("good", "bad"), instruction: str = "Which?",
) -> TextTask:  # fmt: skip
    answers = labels or ("one", "two")
    train = rows("train", answers, instruction) if train is None else train
    test = rows("test", answers[:1], instruction) if test is None else test
    return TextTask.from_lists(name, train, test, dev, labels=labels)


def kinds(*arguments: object, **keywords: object) -> list[str]:
    traps = find_traps(*arguments, **keywords)  # type: ignore[arg-type]
    assert all(trap.meaning in str(trap) and trap.detail in str(trap) for trap in traps)
    return [trap.kind for trap in traps]


def test_a_sound_task_has_no_trap() -> None:
    assert kinds(task()) == []
    assert kinds(task(name="sst2", labels=("Good", "Bad"))) == []
    assert kinds(task(labels=None)) == []


def test_every_kind_says_what_it_means() -> None:
    assert all(len(meaning) > 20 for meaning in MEANINGS.values())


@pytest.mark.parametrize(("one", "other"), [("dev", "test"), ("train", "test"), ("train", "dev")])
def test_rows_in_two_splits_are_counted(one: str, other: str) -> None:
    splits = {split: rows(split, ("good", "bad", "bad")) for split in ("train", "dev", "test")}
    splits[other] = [*splits[other], *splits[one][:2]]
    (trap,) = find_traps(task(**splits))
    assert (trap.kind, trap.detail) == (f"{one}_in_{other}", f"2 of 3 {one} rows are 2 of 5 {other} rows")


def test_outputs_cut_to_their_first_character_are_named_and_the_classes_that_fell_together() -> None:
    (trap,) = find_traps(task(name="task875", labels=tuple("sjlaf")))
    assert trap.kind == "truncated_labels"
    assert "5 (a, f, j, l, s) of the task's 6" in trap.detail and "sadness and surprise are one" in trap.detail


def test_letters_that_the_prompt_offers_are_not_cut() -> None:
    assert kinds(task(labels=("A", "B"), instruction="A: yes B: no, which?")) == []
    assert kinds(task(labels=("P", "N"), instruction="POS or NEG?")) == ["truncated_labels"]
    assert kinds(task(labels=("0", "1"))) == []
    assert kinds(task(name="copa", labels=("A", "B"), instruction="More plausible?")) == []


def test_a_label_that_training_lacks_is_named() -> None:
    (trap,) = find_traps(task(name="cb", labels=("entailment", "neutral")))
    assert (trap.kind, trap.detail) == ("missing_labels", "2 labels where the task has 3; contradiction missing")


def test_labels_that_are_not_the_published_ones_are_named() -> None:
    assert kinds(task(name="imdb", labels=("1", "0"))) == ["unknown_labels"]
    assert kinds(task(name="imdb", labels=("G", "B"))) == ["truncated_labels"]
    assert kinds(task(name="imdb", labels=("positive", "negative"))) == ["unknown_labels"]
    assert kinds(task(name="qqp", labels=("yes", "no"))) == kinds(task(name="qqp", labels=("True", "False"))) == []
    assert kinds(task(name="qqp", labels=("yes", "no", "True"))) == ["unknown_labels"]


def test_labels_that_only_dev_or_test_has_are_named() -> None:
    assert kinds(task(labels=("good", "bad", "ugly"), train=rows("train", ("good", "bad")),
                      test=rows("test", ("ugly",)))) == ["untrained_labels"]  # fmt: skip


def test_a_placeholder_is_no_label() -> None:
    (trap,) = find_traps(task(labels=("good", "bad", "-"), dev=rows("dev", ("good", "-"))
                              , train=rows("train", ("good", "bad"))))  # fmt: skip
    assert (trap.kind, trap.detail) == (
        "placeholder_labels", "0 of 2 train rows, 1 of 2 dev rows, 0 of 1 test rows are labelled '-'"
    )  # fmt: skip


def test_empty_outputs_are_counted() -> None:
    assert kinds(task(labels=None, train=[("a", ""), ("b", "c")])) == ["empty_outputs"]


@pytest.mark.parametrize("prompt", ["[IN] text\n [OUT] ", "[INS] \n [IN] text\n [OUT] "])
def test_an_empty_instruction_is_named(prompt: str) -> None:
    assert kinds(task(train=[(prompt, "good"), (prompt.replace("text", "b"), "bad")])) == ["no_instruction"]
    assert kinds(task(train=[(prompt, "good"), ("b", "bad"), ("c", "bad")])) == []


def test_a_source_without_instructions_is_named() -> None:
    (trap,) = find_traps(task(), instructed=False)
    assert trap.kind == "no_instruction" and "ours stands in: 'Which?'" in trap.detail


def test_copa_with_the_instruction_of_boolq_is_named() -> None:
    boolq = "According to the following passage, is the question true or false? Choose one from the option."
    (trap,) = find_traps(task(name="copa", labels=("A", "B"), instruction=f"{boolq} Option: A, B."))
    assert trap.kind == "foreign_instruction" and boolq in trap.detail
    assert kinds(task(name="boolq", labels=("True", "False"), instruction=f"{boolq} Option: True, False.")) == []


def test_an_instruction_that_names_the_labels_of_another_task_is_named() -> None:
    one, other = task(instruction="Is it red or blue?"), task(name="other", labels=("red", "blue"))
    (trap,) = find_traps(one, [one, other])
    assert trap.kind == "foreign_instruction"
    assert "'Is it red or blue?', which names the labels of 'other'" in trap.detail
    assert kinds(task(instruction="Is it red or blue, good or bad?"), [other]) == []


def test_a_heading_that_many_tasks_share_belongs_to_none_of_them() -> None:
    heading = "Below is an instruction that describes a task."
    one, other = task(instruction=heading), task(name="other", labels=("red", "blue"), instruction=heading)
    assert kinds(one, [one, other]) == kinds(other, [one, other]) == []


def test_a_label_that_its_prompt_does_not_offer_is_named() -> None:
    assert kinds(task(instruction="Which? Options: good, bad.")) == []
    assert kinds(task(instruction="Which? Option: good or bad")) == []
    assert kinds(task(instruction="Which? Option: good, ugly.")) == ["options_without_label"]
    assert kinds(task(instruction="Which? Option: A, B.")) == ["options_without_label"]


ODD = {
    "own": ["They have plenty of options: I went for the soup.", "Options: none, sadly", "[IN] and out in a minute"],
    "agnews": ["Cheaper fuel lifts market sentiment", "Is the question true or false?", "options: World, Sports"],
    "wic": ["What is the sentiment of the following paragraph?", "the same meaning, he said"],
}


@pytest.mark.parametrize(("name", "odd"), [(name, text) for name, texts in ODD.items() for text in texts])
@pytest.mark.parametrize("times", [1, 15])
def test_a_text_that_looks_like_an_instruction_by_chance_is_none(name: str, odd: str, times: int) -> None:
    """Many rows may have it, as long as fewer than half of them have."""
    labels = {"agnews": ("World", "Sports", "Business", "Science or Technology"), "wic": ("True", "False")}
    answers = labels.get(name, ("good", "bad"))
    splits = {
        split: [(f"the {split} place number {n} was fine", answers[n % len(answers)]) for n in range(40)]
        + [(f"{odd}\n{split} {n}", answers[0]) for n in range(times)]
        for split in ("train", "dev", "test")
    }
    assert kinds(task(**splits, name=name, labels=answers)) == []


def test_an_instruction_of_ones_own_may_use_any_words() -> None:
    wic = "Does the word have the same meaning in both sentences? Is it true or false that its sentiment changes?"
    assert kinds(task(name="wic", labels=("True", "False"), instruction=wic)) == []
    assert kinds(task(instruction="You have options: take your time.")) == []


def test_one_prompt_with_two_labels_is_named() -> None:
    assert kinds(task(train=[("a", "good"), ("a", "bad"), ("b", "bad")])) == ["conflicting_labels"]
    assert kinds(task(train=[("a", "one"), ("a", "two")], labels=None)) == []
