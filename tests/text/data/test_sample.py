"""The small data set that is shipped in the package."""

import json
from collections import Counter
from itertools import combinations

import pytest

from avalanche_aim.text import TextTask, read_tasks
from avalanche_aim.text.data.layouts import SAMPLE

SPLITS = ("train", "dev", "test")
AT_LEAST = {"train": 120, "dev": 30, "test": 60}
NAMES = sorted(path.stem for path in (SAMPLE / "train").glob("*.json"))


@pytest.fixture(scope="module")
def sample() -> dict[str, TextTask]:
    return {task.name: task for task in read_tasks(SAMPLE, NAMES)}


def texts(task: TextTask, split: str) -> list[str]:
    """Return the texts without the instruction, which is the same in the whole task."""
    return [e.prompt.split("\nText: ", 1)[1].removesuffix("\n\nAnswer:") for e in task.split(split)]


def test_it_has_four_tasks_in_every_split() -> None:
    for split in SPLITS:
        assert sorted(path.stem for path in (SAMPLE / split).glob("*.json")) == NAMES
    assert len(NAMES) == 4


def test_every_record_has_an_id_of_its_own() -> None:
    ids = [r["id"] for path in SAMPLE.glob("*/*.json") for r in json.loads(path.read_text(encoding="utf-8"))]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", NAMES)
def test_a_task_is_closed_with_four_to_six_labels(sample: dict[str, TextTask], name: str) -> None:
    assert 4 <= len(sample[name].labels or ()) <= 6


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", NAMES)
def test_a_split_is_large_enough_and_balanced_over_all_labels(
    sample: dict[str, TextTask], name: str, split: str
) -> None:
    counts = Counter(e.answer for e in sample[name].split(split))
    assert counts.total() >= AT_LEAST[split]
    assert set(counts) == set(sample[name].labels or ())
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_a_prompt_lists_the_labels_and_ends_with_the_answer_cue(sample: dict[str, TextTask], name: str) -> None:
    for example in (e for split in SPLITS for e in sample[name].split(split)):
        assert all(label in example.prompt.split("\nText: ")[0] for label in sample[name].labels or ())
        assert example.prompt.endswith("\n\nAnswer:")


def test_no_text_stands_twice(sample: dict[str, TextTask]) -> None:
    counts = Counter(
        text.strip().lower() for task in sample.values() for split in SPLITS for text in texts(task, split)
    )
    assert [text for text, count in counts.items() if count > 1] == []


def test_no_two_texts_of_different_splits_share_eight_words(sample: dict[str, TextTask]) -> None:
    sequences: dict[str, set[tuple[str, ...]]] = {split: set() for split in SPLITS}
    for split in SPLITS:
        for words in (text.lower().split() for task in sample.values() for text in texts(task, split)):
            sequences[split] |= {tuple(words[i : i + 8]) for i in range(len(words) - 7)}
    assert all(sequences.values())
    for one, other in combinations(SPLITS, 2):
        assert sequences[one] & sequences[other] == set()
