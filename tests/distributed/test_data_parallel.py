"""Two processes that train together, against each other and against one process with the whole batch."""

import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import distributed_runs
import pytest
import torch
from distributed_runs import BATCH, PROCESSES, RUNS
from forked import forked
from nearly import nearly

from avalanche_aim import DataParallel
from avalanche_aim.distributed import broadcast, init_process_group, is_main_process, on_main_process, world_size
from avalanche_aim.distributed.passes import Share

LANGUAGE = ("adaptive", "with_replay", "length_grouped", "fsdp", "with_dropout")
EXACT = ("adaptive", "with_replay", "length_grouped", "fsdp", "classifier")
"""Runs without noise, which has to differ from process to process."""
TOGETHER, TO_END = 600, 60
"""Seconds that all runs may take, and the first process to end after the second; a busy machine needs them."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run everything in two processes, the second of which fails at the end, and keep how each ended."""
    folder = tmp_path_factory.mktemp("processes")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": str(PROCESSES), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
              "AVALANCHE_AIM_CACHE": str(folder / "cache")}  # fmt: skip
    processes = []
    for rank in map(str, range(PROCESSES)):
        environment = {**shared, "RANK": rank, "LOCAL_RANK": rank}
        processes.append(forked(distributed_runs.all_runs, folder / f"log-{rank}", environment, folder))
    try:
        processes[1].join(TOGETHER)
        processes[0].join(TO_END)
        (folder / "codes").write_text(" ".join(str(process.exitcode) for process in processes))
    finally:
        for process in processes:
            process.kill()
    return folder


@pytest.fixture(scope="module")
def both(folder: Path) -> Callable[[str], list[dict[str, Any]]]:
    """Return what each process has of a run."""

    def load(name: str) -> list[dict[str, Any]]:
        files = [folder / f"{name}-{rank}.pt" for rank in range(PROCESSES)]
        if not all(file.is_file() for file in files):
            pytest.fail("\n".join((folder / f"log-{rank}").read_text()[-3000:] for rank in range(PROCESSES)))
        return [torch.load(file, weights_only=False) for file in files]

    return load


@pytest.fixture(scope="module")
def alone() -> dict[str, dict[str, Any]]:
    """Return what one process has of the runs that can be compared with it."""
    return {name: RUNS[name]() for name in EXACT}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*LANGUAGE, "classifier", "overflow"])
def test_all_processes_have_the_same_to_the_bit(name: str, both: Any, same: Any) -> None:
    first, second = both(name)
    assert same(first, second)


@pytest.mark.parametrize("name", EXACT)
def test_the_weights_are_those_of_one_process(name: str, both: Any, alone: Any) -> None:
    for ours, theirs in zip(both(name)[0]["weights"], alone[name]["weights"], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in LANGUAGE if name in EXACT])
def test_decisions_memory_scores_and_streams_are_those_of_one_process(name: str, both: Any, alone: Any) -> None:
    ours, theirs = both(name)[0], alone[name]
    assert ours["history"]["merges"]
    assert nearly(ours["history"], theirs["history"], rel=2e-3, abs=1e-4)
    assert nearly(ours["losses"], theirs["losses"], rel=2e-3, abs=1e-4)
    for part in ("r", "memory", "sizes", "random"):
        assert ours[part] == theirs[part]


def test_some_scores_are_not_zero(both: Any) -> None:
    assert sum(map(sum, both("length_grouped")[0]["r"])) > 0


def test_plugins_see_the_whole_batch_and_an_uneven_last_one(both: Any) -> None:
    sizes = both("adaptive")[0]["sizes"]
    assert sizes[:6] == [(BATCH, BATCH), (BATCH, BATCH), (1, 1)] * 2


@pytest.mark.parametrize("name", ["adaptive", "classifier"])
def test_metrics_are_those_of_one_process(name: str, both: Any, alone: Any) -> None:
    assert nearly(both(name)[0]["metrics"], alone[name]["metrics"], rel=2e-3, abs=1e-4)


def test_an_overflow_in_one_process_skips_the_step_in_all(both: Any) -> None:
    first, _ = both("overflow")
    assert first["scale"] == 2.0
    assert all(torch.isfinite(weight).all() for weight in first["weights"])


def test_noise_differs_between_processes_and_leaves_the_common_stream_common(both: Any) -> None:
    first, second = both("noise")
    assert len(first["noise"]) == len({tuple(draw) for draw in first["noise"]})
    assert all(ours != theirs for ours, theirs in zip(first["noise"], second["noise"], strict=True))
    assert first["later"] == second["later"]


def test_a_comparison_is_shared_out_and_written_once(folder: Path, both: Any) -> None:
    first, second = both("comparison")
    assert first == second
    assert first["finished"] == 1
    assert first["iterations"] == 8  # 4 tasks of 4 examples, 2 at a time
    assert len(list((folder / "comparison" / "runs").glob("aim*.json"))) == 1
    assert "ex/s" in (folder / "log-0").read_text()
    assert "ex/s" not in (folder / "log-1").read_text()


@pytest.mark.parametrize(
    ("case", "message"),
    [("unshared", "list DataParallel"), ("second", "first plugin"), ("sharding", "same batch on all processes")],
)
def test_what_would_come_apart_is_refused_everywhere(case: str, message: str, both: Any) -> None:
    assert all(message in found[case] for found in both("refusals"))


def test_a_process_that_fails_ends_the_others(folder: Path, both: Any) -> None:
    both("refusals")  # all was well until then
    logs = [(folder / f"log-{rank}").read_text() for rank in range(PROCESSES)]
    assert "this process was told to fail" in logs[1]
    assert re.search("Connection (closed|reset) by peer", logs[0])
    assert (folder / "codes").read_text() == "1 1"


def test_one_process_is_left_alone() -> None:
    assert (world_size(), is_main_process(), broadcast(1.5), on_main_process(lambda: "here")) == (1, True, 1.5, "here")
    assert init_process_group().type in ("cpu", "cuda")
    assert world_size() == 1
    assert DataParallel().world_size == 1


@pytest.mark.parametrize(("processes", "rows"), [(2, 1), (2, 4), (3, 5), (4, 5), (4, 3)])
def test_shares_are_disjoint_and_whole(processes: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avalanche_aim.distributed.passes.world_size", lambda: processes)
    shares = []
    for rank in range(processes):
        monkeypatch.setattr("avalanche_aim.distributed.passes.rank", lambda rank=rank: rank)
        share = Share(rows)
        assert len(share.of(torch.arange(rows))) == max(1, share.stop - share.start) <= share.size
        shares += range(share.start, share.stop)
    assert shares == list(range(rows))
