"""``strict`` makes an error of traps, in every function that reads files, before anything is tokenised."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from layout_files import aimmerging

from avalanche_aim.text import DataWarning, long_sequence, standard_cl, superni

READERS = {"standard_cl": standard_cl, "long_sequence": long_sequence, "superni": superni}


@pytest.fixture
def trapped(tmp_path: Path) -> Path:
    """Return a folder of two tasks: dev is test in the first, train is test in the second."""
    aimmerging(aimmerging(tmp_path), "moods", ("glad", "sad"))
    shutil.copy(tmp_path / "dev/reviews_T5.json", tmp_path / "test/reviews_T5.json")
    shutil.copy(tmp_path / "train/moods_T5.json", tmp_path / "test/moods_T5.json")
    return tmp_path


@pytest.mark.parametrize("name", READERS)
def test_strict_names_the_traps_of_all_tasks_in_one_error(name: str, trapped: Path) -> None:
    tokenizer: Any = None  # which would be the next error
    with pytest.raises(ValueError, match=r"(?s)got 2.*'reviews', dev_in_test.*'moods', train_in_test.*too high"):
        READERS[name](["reviews", "moods"], tokenizer, trapped, strict=True)


@pytest.mark.parametrize("name", READERS)
def test_without_strict_the_same_traps_are_warnings(name: str, trapped: Path) -> None:
    with pytest.warns(DataWarning) as warned, pytest.raises(ValueError, match="tokenizer: expected"):
        READERS[name](["reviews", "moods"], None, trapped)
    assert [str(one.message).partition(":")[0] for one in warned] == [
        "task 'reviews', dev_in_test",
        "task 'moods', train_in_test",
    ]


@pytest.mark.parametrize("make", [standard_cl, long_sequence])
def test_one_task_may_stand_for_the_order(make: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tokenizer: expected"):
        make("SST-2", None, aimmerging(tmp_path, "sst2", ("Good", "Bad")), strict=True)
