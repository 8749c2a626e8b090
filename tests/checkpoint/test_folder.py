"""Checkpoints on disk: written whole, the newest whole one found, damaged and foreign ones refused."""

import errno
import json
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

from avalanche_aim.checkpoint import CheckpointFolder, Damaged, folder
from avalanche_aim.checkpoint.encoding import decode, encode

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


def test_there_is_json_and_safetensors_and_nothing_else(tmp_path: Path) -> None:
    saved(tmp_path)
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"manifest.json", "state.json", "tensors.safetensors"}


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("file", ["manifest.json", "state.json", "tensors.safetensors"])
def test_a_truncated_file_is_named_and_the_checkpoint_before_used(file: str, share: float, tmp_path: Path) -> None:
    *_, newest = saved(tmp_path)
    content = (newest / file).read_bytes()
    (newest / file).write_bytes(content[: int(share * len(content))])
    with pytest.warns(UserWarning, match=rf"-00000002.{file}: .*; going on from checkpoint-0000-00000001"):
        assert number(tmp_path) == 1


@pytest.mark.parametrize("file", ["manifest.json", "state.json", "tensors.safetensors"])
def test_a_missing_file_is_named_and_the_checkpoint_before_used(file: str, tmp_path: Path) -> None:
    *_, newest = saved(tmp_path)
    (newest / file).unlink()
    with pytest.warns(UserWarning, match=rf"{file}: can't be read \(No such file"):
        assert number(tmp_path) == 1


@pytest.mark.parametrize(
    "content", ["", "[]", "null", "{}", '{"format": 99}', '{"format": 1}', '{"format": 1, "files": []}', "[" * 10**5]
)
def test_a_foreign_manifest_is_refused(content: str, tmp_path: Path) -> None:
    *_, newest = saved(tmp_path)
    (newest / "manifest.json").write_text(content)
    with pytest.warns(UserWarning, match=r"manifest.json: expected"):
        assert number(tmp_path) == 1


@given(data=st.data())
def test_one_changed_byte_is_noticed_or_changes_nothing(data: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("checkpoints")
    *_, newest = saved(path)
    file = data.draw(st.sampled_from(sorted(newest.iterdir())))
    content = bytearray(file.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert number(path) == (1 if caught else 2)


@pytest.mark.parametrize(
    "state",
    [
        '["a list"]',
        '{"weights": {"$tensor": "missing"}}',
        '{"weights": {"$pickle": "gASV"}}',
        '{"a": {"$float": "1.0"}}',
        '{"a": {"$map": 5}}',
        '{"a": {"$map": [[[], 1]]}}',
        '{"a": {"$tensor": ["list"]}}',
    ],
)
def test_a_state_of_other_kinds_is_refused_even_with_a_right_checksum(state: str, tmp_path: Path) -> None:
    *_, newest = saved(tmp_path)
    (newest / "state.json").write_text(state)
    manifest = json.loads((newest / "manifest.json").read_text())
    data = state.encode()
    manifest["files"]["state.json"] = {"bytes": len(data), "sha256": folder._sha256(data)}
    (newest / "manifest.json").write_text(json.dumps(manifest))
    with pytest.warns(UserWarning, match=r"state.json: expected"):
        assert number(tmp_path) == 1


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    *_, newest = saved(tmp_path)
    (newest / "state.json").unlink()
    os.mkfifo(newest / "state.json")
    with pytest.warns(UserWarning, match=r"state.json: can't be read \(a pipe\)"):
        assert number(tmp_path) == 1


def test_several_damaged_ones_are_passed_over(tmp_path: Path) -> None:
    _, first, second = saved(tmp_path)
    for path in (first, second):
        (path / "state.json").write_text("{")
    with pytest.warns(UserWarning) as caught:
        assert number(tmp_path) == 0
    assert len(caught) == 2


def test_a_damaged_one_is_put_aside_and_not_looked_at_again(tmp_path: Path) -> None:
    *_, newest = saved(tmp_path)
    (newest / "state.json").write_text("{")
    with pytest.warns(UserWarning):
        number(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert number(tmp_path) == 1
    assert [path for path in tmp_path.iterdir() if path.name.startswith("damaged-checkpoint-0000-00000002")]


def test_if_all_are_damaged_an_error_says_so_and_none_is_touched(tmp_path: Path) -> None:
    for path in saved(tmp_path):
        (path / "tensors.safetensors").unlink()
    for _ in range(2):
        with pytest.raises(Damaged, match=r"expected a whole checkpoint, got none: .*; delete that folder to start"):
            CheckpointFolder(tmp_path).newest()


def test_what_a_killed_save_left_is_removed(tmp_path: Path) -> None:
    *_, newest = saved(tmp_path)
    shutil.copytree(newest, tmp_path / ".checkpoint-0000-00000003.abc.partial")
    assert number(tmp_path) == 2
    assert not list(tmp_path.glob("*.partial"))


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    saved(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "checkpoint-mine").mkdir()
    assert number(tmp_path) == 2
    assert (tmp_path / "notes.txt").exists()
    assert (tmp_path / "checkpoint-mine").exists()


@pytest.mark.parametrize("file", ["manifest.json", "state.json", "tensors.safetensors"])
def test_a_save_that_fails_leaves_the_earlier_ones_and_nothing_else(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {path.name for path in saved(tmp_path)}
    write = folder._write

    def full(path: Path, content: bytes) -> None:
        if path.name == file:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    monkeypatch.setattr(folder, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        CheckpointFolder(tmp_path).save({"number": 3}, 0, 3)
    assert {path.name for path in tmp_path.iterdir()} == names


# States as JSON and tensors

PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
KEYS = st.text() | st.integers() | st.booleans() | st.none()
STATES = st.recursive(
    PLAIN | st.lists(st.floats(), min_size=32) | st.lists(st.integers(), min_size=32),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner) | st.lists(inner).map(tuple)
    | st.sets(st.integers() | st.text()),
)  # fmt: skip


def through_json(state: Any) -> Any:
    tree, tensors = encode(state)
    return decode(json.loads(json.dumps(tree, allow_nan=False)), tensors, CPU)


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
def test_every_state_comes_back_as_it_was(state: Any) -> None:
    assert shown(through_json(state)) == shown(state)


def test_tensors_and_arrays_come_back_with_their_types() -> None:
    state = {
        "a.b": [torch.arange(6).reshape(2, 3).t(), torch.tensor(1.5, dtype=torch.bfloat16)],
        "a": {"b": {"0": torch.zeros(0, dtype=torch.bool)}},
        "numpy": ("MT19937", np.arange(5, dtype=np.uint32), 3),
        "same": [torch.ones(2)] * 2,
    }
    back = through_json(state)
    for old, new in zip([*state["a.b"], state["a"]["b"]["0"]], [*back["a.b"], back["a"]["b"]["0"]], strict=True):
        assert old.dtype == new.dtype
        assert torch.equal(old, new)
    assert back["numpy"][1].dtype == np.uint32
    assert back["numpy"][1].tolist() == [0, 1, 2, 3, 4]
    assert back["same"][0].data_ptr() != back["same"][1].data_ptr()


def test_what_cannot_be_kept_is_refused_with_its_place() -> None:
    with pytest.raises(TypeError, match=r"got function at plugins\.0\.hook"):
        encode({"plugins": [{"hook": through_json}]})
