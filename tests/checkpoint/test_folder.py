"""Checkpoints on disk: written whole, the newest whole one found, damaged and foreign ones refused."""

import errno
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avalanche_aim.checkpoint import CheckpointFolder, Damaged

CPU = torch.device("cpu")


def saved(path: Path, places: int = 3, keep: int = 10) -> list[Path]:
    """Write checkpoints whose state says which they are."""
    folder = CheckpointFolder(path, keep)
    return [folder.save({"number": n, "weights": torch.full((5,), float(n))}, 0, n) for n in range(places)]


def number(path: Path) -> int:
    checkpoint = CheckpointFolder(path).newest()
    assert checkpoint is not None
    state = checkpoint.state(CPU)
    assert torch.equal(state["weights"], torch.full((5,), float(state["number"])))
    return state["number"]


def test_the_newest_is_found(tmp_path: Path) -> None:
    saved(tmp_path)
    assert number(tmp_path) == 2


def test_the_newest_is_the_furthest_in_the_stream_whatever_its_name_sorts_like(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, keep=10)
    for experience, iteration in ((10_000, 1), (9_999, 200_000_000), (9_999, 5)):
        folder.save({"place": [experience, iteration]}, experience, iteration)
    checkpoint = CheckpointFolder(tmp_path).newest()
    assert checkpoint is not None
    assert checkpoint.state(CPU)["place"] == [10_000, 1]


def test_without_any_there_is_none(tmp_path: Path) -> None:
    assert CheckpointFolder(tmp_path / "missing").newest() is None


@pytest.mark.parametrize("keep", [1, 2])
def test_the_last_are_kept(keep: int, tmp_path: Path) -> None:
    names = [path.name for path in saved(tmp_path, 4, keep)]
    assert sorted(path.name for path in tmp_path.iterdir()) == names[-keep:]


def test_keeping_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keep: expected at least 1 checkpoint, got 0"):
        CheckpointFolder(tmp_path, keep=0)


def test_each_is_one_file_that_torch_reads(tmp_path: Path) -> None:
    *_, newest = saved(tmp_path)
    assert newest.name == "checkpoint-0000-00000002.pt"
    assert torch.load(newest, weights_only=True)["state"]["number"] == 2


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_named_and_the_checkpoint_before_used(share: float, tmp_path: Path) -> None:
    *_, newest = saved(tmp_path)
    content = newest.read_bytes()
    newest.write_bytes(content[: int(share * len(content))])
    with pytest.warns(UserWarning, match=r"-00000002.pt: expected a checkpoint, .*; resuming from checkpoint-0000-0"):
        assert number(tmp_path) == 1


def test_a_file_that_cannot_be_read_is_named_and_the_checkpoint_before_used(tmp_path: Path) -> None:
    *_, newest = saved(tmp_path)
    newest.unlink()
    newest.mkdir()
    with pytest.warns(UserWarning, match=r"-00000002.pt: can't be read \(Is a directory"):
        assert number(tmp_path) == 1


@given(data=st.data())
def test_one_changed_byte_is_noticed_or_changes_nothing(data: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("checkpoints")
    *_, newest = saved(path)
    content = bytearray(newest.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    newest.write_bytes(content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert number(path) == (1 if caught else 2)


class Foreign:
    """Leaves a file where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.touch, (self.trace,)


def test_no_code_of_a_file_is_run(tmp_path: Path) -> None:
    *_, newest = saved(tmp_path)
    torch.save({"format": 2, "versions": {}, "state": {"a": Foreign(tmp_path / "trace")}}, newest)
    with pytest.warns(UserWarning, match=r"-00000002.pt: expected a checkpoint, .*Weights only load failed"):
        assert number(tmp_path) == 1
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("content", [[], {}, {"format": 3}, {"format": 3, "versions": {}, "state": []}, torch.ones(1)])
def test_another_file_of_torch_is_refused(content: Any, tmp_path: Path) -> None:
    *_, newest = saved(tmp_path)
    torch.save(content, newest)
    with pytest.warns(UserWarning, match=r"-00000002.pt: expected"):
        assert number(tmp_path) == 1


def test_a_checkpoint_of_another_version_is_refused_with_that_version(tmp_path: Path) -> None:
    *_, newest = saved(tmp_path)
    torch.save({"format": 4, "versions": {"avalanche-aim": "9.1"}, "state": {}}, newest)
    with pytest.raises(
        ValueError, match=r"expected a checkpoint of format 3, got format 4, written by .* 9\.1; finish"
    ):
        number(tmp_path)


def test_a_checkpoint_of_the_first_version_is_refused_with_that_version(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-0000-00000002").mkdir()
    with pytest.raises(ValueError, match=r"got format 1, written by avalanche-aim 0\.1\.0; finish the run with that"):
        number(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    *_, newest = saved(tmp_path)
    newest.unlink()
    os.mkfifo(newest)
    with pytest.warns(UserWarning, match=r"-00000002.pt: can't be read \(a pipe\)"):
        assert number(tmp_path) == 1


def test_several_damaged_ones_are_passed_over(tmp_path: Path) -> None:
    _, first, second = saved(tmp_path)
    for path in (first, second):
        path.write_text("{")
    with pytest.warns(UserWarning) as caught:
        assert number(tmp_path) == 0
    assert len(caught) == 2


def test_a_damaged_one_is_put_aside_and_not_looked_at_again(tmp_path: Path) -> None:
    *_, newest = saved(tmp_path)
    newest.write_text("{")
    with pytest.warns(UserWarning):
        number(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert number(tmp_path) == 1
    assert [path for path in tmp_path.iterdir() if path.name.startswith("damaged-checkpoint-0000-00000002")]


def test_if_all_are_damaged_an_error_says_so_and_none_is_touched(tmp_path: Path) -> None:
    for path in saved(tmp_path):
        path.write_bytes(b"")
    for _ in range(2):
        with pytest.raises(Damaged, match=r"expected a whole checkpoint, got none: .*; delete that folder to start"):
            CheckpointFolder(tmp_path).newest()


def test_what_a_killed_save_left_is_removed(tmp_path: Path) -> None:
    *_, newest = saved(tmp_path)
    shutil.copy(newest, tmp_path / ".checkpoint-0000-00000003.pt.abc")
    assert number(tmp_path) == 2
    assert not list(tmp_path.glob(".*"))


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    saved(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "checkpoint-mine").mkdir()
    assert number(tmp_path) == 2
    assert (tmp_path / "notes.txt").exists()
    assert (tmp_path / "checkpoint-mine").exists()


def test_a_save_that_fails_leaves_the_earlier_ones_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {path.name for path in saved(tmp_path)}

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        CheckpointFolder(tmp_path).save({"number": 3}, 0, 3)
    assert {path.name for path in tmp_path.iterdir()} == names


# What a state may hold

PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
KEYS = st.text() | st.integers() | st.booleans() | st.none()
STATES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner) | st.lists(inner).map(tuple)
    | st.sets(st.integers() | st.text()),
)  # fmt: skip


def saved_and_read(state: Any, folder: Path) -> Any:
    CheckpointFolder(folder).save({"state": state}, 0, 0)
    checkpoint = CheckpointFolder(folder).newest()
    assert checkpoint is not None
    return checkpoint.state(CPU)["state"]


def shown(state: Any) -> str:
    """Like ``repr``, which tells -0.0 and the kinds of numbers apart, with sets in order."""
    if isinstance(state, set):
        return f"set{sorted(map(repr, state))}"
    if isinstance(state, dict):
        return f"dict{[(repr(key), shown(value)) for key, value in state.items()]}"
    if isinstance(state, (list, tuple)):
        return f"{type(state).__name__}{list(map(shown, state))}"
    return repr(state)


@given(state=STATES)
def test_every_state_comes_back_as_it_was(state: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert shown(saved_and_read(state, tmp_path_factory.mktemp("state"))) == shown(state)


def test_tensors_come_back_with_their_types(tmp_path: Path) -> None:
    state = [
        torch.arange(6).reshape(2, 3).t(),
        torch.tensor(1.5, dtype=torch.bfloat16, requires_grad=True),
        torch.zeros(0, dtype=torch.bool),
        torch.tensor([7], dtype=torch.uint32),
    ]
    for old, new in zip(state, saved_and_read(state, tmp_path), strict=True):
        assert (old.dtype, old.tolist(), new.requires_grad) == (new.dtype, new.tolist(), False)


def test_a_view_is_saved_without_what_it_is_a_view_of(tmp_path: Path) -> None:
    path = CheckpointFolder(tmp_path).save({"row": torch.zeros(10_000, 100)[3]}, 0, 0)
    assert path.stat().st_size < 10_000


def test_numbers_of_other_types_become_plain_ones(tmp_path: Path) -> None:
    assert repr(saved_and_read([np.float64(0.5), True], tmp_path)) == "[0.5, True]"


def test_what_cannot_be_kept_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"got function at plugins\.0\.hook"):
        CheckpointFolder(tmp_path).save({"plugins": [{"hook": shown}]}, 0, 0)
