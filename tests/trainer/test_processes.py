"""Two processes of DistributedDataParallel, against each other and against one process."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import forked
from nearly import nearly
from processes_run import run

SECONDS = 300


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes has at the end."""
    folder = tmp_path_factory.mktemp("processes")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        forked(run, folder / f"log-{rank}", {**shared, "RANK": rank, "LOCAL_RANK": rank}, folder / f"{rank}.pt")
        for rank in ("0", "1")
    ]
    try:
        for process in processes:
            process.join(SECONDS)
    finally:
        for process in processes:
            process.kill()
    files = [folder / f"{rank}.pt" for rank in (0, 1)]
    if not all(file.is_file() for file in files):
        pytest.fail("\n".join((folder / f"log-{rank}").read_text()[-3000:] for rank in (0, 1)))
    return [torch.load(file, weights_only=False) for file in files]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["by tokens", "by rows"])
def test_both_processes_merge_alike_and_as_one_does(both: list[dict[str, Any]], kind: str, tmp_path: Path) -> None:
    assert "WORLD_SIZE" not in os.environ
    first, second = (found[kind] for found in both)
    run(tmp_path / "one.pt")
    alone = torch.load(tmp_path / "one.pt", weights_only=False)[kind]
    assert torch.equal(first["weights"], second["weights"])
    assert first["history"] == second["history"]
    assert first["memory"] == second["memory"] == alone["memory"]
    assert first["wrapped"] == "DistributedDataParallel"
    torch.testing.assert_close(first["weights"], alone["weights"], rtol=1e-4, atol=1e-5)
    assert first["history"]["merges"]
    assert nearly(first["history"], alone["history"], rel=1e-3, abs=1e-5)
