"""Processes that are killed, and resumed by as many processes or by others."""

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import resumed
import torch
from group import logs, together
from nearly import nearly

KILLED_AFTER = 7
"""Of 12 iterations: in the middle of the second task, after its first merge."""


@cache
def uninterrupted(folder: Path) -> dict[str, Any]:
    return resumed.trained(folder, None)


@pytest.fixture(scope="module", params=[None, 1], ids=["DDP", "FSDP2"])
def killed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int | None, Path]:
    """Two processes that were killed, with their checkpoints."""
    folder = tmp_path_factory.mktemp("killed")
    assert together(2, folder, resumed.run, folder, request.param, KILLED_AFTER) == [-9, -9], logs(folder)
    return request.param, folder


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_the_result_is_that_of_a_run_that_was_not_interrupted(
    processes: int, killed: tuple[int | None, Path], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    replicas, before = killed
    shutil.copytree(before / "checkpoints", tmp_path / "checkpoints")
    assert together(processes, tmp_path, resumed.run, tmp_path, replicas) == [0] * processes, logs(tmp_path)
    ours = torch.load(tmp_path / "found.pt", weights_only=False)
    theirs = uninterrupted(tmp_path_factory.getbasetemp() / "uninterrupted")
    for weight, whole in zip(ours["weights"], theirs["weights"], strict=True):
        torch.testing.assert_close(weight, whole, rtol=0, atol=1e-6)
    assert nearly(ours["history"], theirs["history"], rel=1e-4, abs=1e-5)
    assert nearly(ours["losses"], theirs["losses"], rel=1e-4, abs=1e-5)
    assert (ours["memory"], ours["r"][-1]) == (theirs["memory"], theirs["r"][-1])


@pytest.mark.slow
def test_a_sharded_run_is_resumed_whole_and_a_whole_one_is_not_sharded(
    killed: tuple[int | None, Path], tmp_path: Path
) -> None:
    replicas, before = killed
    shutil.copytree(before / "checkpoints", tmp_path / "checkpoints")
    if replicas is None:
        assert together(2, tmp_path, resumed.refused, tmp_path, 1) == [0, 0], logs(tmp_path)
        for rank in range(2):
            assert "got one of whole weights; resume with DDP" in (tmp_path / f"refused-{rank}").read_text()
    else:
        assert resumed.trained(tmp_path, None)["history"]["merges"]


@pytest.mark.slow
def test_missing_shards_are_damage(killed: tuple[int | None, Path], tmp_path: Path) -> None:
    replicas, before = killed
    if replicas is not None:
        shutil.copytree(before / "checkpoints", tmp_path / "checkpoints")
        newest = sorted((tmp_path / "checkpoints").glob("*.shards"))[-1]
        next(newest.glob("*.distcp")).unlink()
        with pytest.warns(UserWarning, match="expected the shards that were written with it"):
            resumed.trained(tmp_path, None)
