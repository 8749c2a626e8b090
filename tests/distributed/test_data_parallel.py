"""Two processes that train together with DDP, against each other and against one process with the whole batch."""

import re
from pathlib import Path
from typing import Any

import group_runs
import pytest
import torch
from distributed_runs import LANGUAGE, class_strategy, classes, classifier
from group import logs, together
from nearly import nearly
from torch import distributed

from avalanche_aim import DataParallel
from avalanche_aim.distributed import broadcast, init_process_group, is_main_process, on_main_process, world_size
from avalanche_aim.distributed.rows import Rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run everything in two processes, the second of which fails at the end, and keep how each ended."""
    folder = tmp_path_factory.mktemp("processes")
    codes = together(2, folder, group_runs.short, folder, AVALANCHE_AIM_CACHE=str(folder / "cache"))
    (folder / "codes").write_text(" ".join(map(str, codes)))
    return folder


@pytest.fixture(scope="module")
def both(folder: Path) -> list[dict[str, Any]]:
    """Return what each process has."""
    files = [folder / f"found-{rank}.pt" for rank in range(2)]
    if not all(file.is_file() for file in files):
        pytest.fail(logs(folder))
    return [torch.load(file, weights_only=False) for file in files]


@pytest.mark.parametrize(("name", "run"), [("paper", LANGUAGE["paper"]), ("classifier", classifier)])
def test_weights_decisions_and_scores_are_those_of_one_process(name: str, run: Any, both: Any) -> None:
    theirs = run()
    for ours in (found[name] for found in both):
        for weight, whole in zip(ours["weights"], theirs["weights"], strict=True):
            torch.testing.assert_close(weight, whole, rtol=0, atol=1e-6)
        assert all(nearly(ours[part], theirs[part], rel=1e-4, abs=1e-5) for part in theirs if part != "weights")


def test_an_overflow_in_one_process_skips_the_step_in_all(both: Any, same: Any) -> None:
    first, second = (found["overflow"] for found in both)
    assert first["scale"] == 2.0
    assert all(torch.isfinite(weight).all() for weight in first["weights"])
    assert same(first, second)


def test_noise_differs_between_processes_and_leaves_the_common_stream_common(both: Any) -> None:
    first, second = (found["noise"] for found in both)
    assert len(first["noise"]) == len({tuple(draw) for draw in first["noise"]})
    assert all(ours != theirs for ours, theirs in zip(first["noise"], second["noise"], strict=True))
    assert first["later"] == second["later"]


def test_a_comparison_is_shared_out_and_written_once(folder: Path, both: Any) -> None:
    first, second = (found["comparison"] for found in both)
    assert first == second
    assert first["finished"] == 1
    assert first["iterations"] == 8  # 4 tasks of 4 examples, 2 at a time
    assert len(list((folder / "comparison" / "runs").glob("aim*.json"))) == 1
    assert "ex/s" in (folder / "log-0").read_text()
    assert "ex/s" not in (folder / "log-1").read_text()


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("unshared", "list DataParallel"),
        ("second", "first plugin"),
        ("a-gem", "AGEMPlugin; train with it in one process"),
        ("settings", "the same settings on all processes, got others on [1]"),
        ("data", "the same data on all processes, got others on [1]"),
        ("versions", "the same versions on all processes, got others on [1]"),
        ("rows", "the same rows of a batch on all processes, got others on [1]"),
        ("accelerate", "call shard(model, accelerator)"),
    ],
)
def test_what_would_come_apart_is_refused_everywhere(case: str, message: str, both: Any) -> None:
    for found in both:
        assert message in found["refusals"][case]


def test_a_process_that_fails_ends_the_others(folder: Path, both: Any) -> None:
    first, second = ((folder / f"log-{rank}").read_text() for rank in range(2))
    assert "this process was told to fail" in second
    assert re.search("Connection (closed|reset) by peer", first)
    assert (folder / "codes").read_text() == "1 1"


@pytest.mark.slow
def test_with_dropout_all_processes_have_the_same_to_the_bit(tmp_path: Path, same: Any) -> None:
    assert together(2, tmp_path, group_runs.dropout, tmp_path) == [0, 0], logs(tmp_path)
    first, second = (torch.load(tmp_path / f"found-{rank}.pt", weights_only=False) for rank in range(2))
    assert same(first, second)


def test_one_process_is_left_alone() -> None:
    assert (world_size(), is_main_process(), broadcast(1.5), on_main_process(lambda: "here")) == (1, True, 1.5, "here")
    assert init_process_group().type in ("cpu", "cuda")
    assert world_size() == 1
    assert DataParallel().rows is None


def test_a_group_of_one_process_trains_as_a_process_without_a_group(same: Any) -> None:
    alone = classifier()
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        assert same(classifier(), alone)
    finally:
        distributed.destroy_process_group()


def test_processes_that_do_not_know_of_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    strategy = class_strategy(torch.nn.Linear(8, 6), DataParallel())
    with pytest.raises(ValueError, match=r"of the 2 processes that the launcher started, got none.*init_process_group"):
        strategy.train(classes().train_stream[0])


@pytest.mark.parametrize(("processes", "total"), [(2, 1), (2, 4), (3, 5), (4, 5), (4, 3)])
def test_rows_are_disjoint_whole_and_count_alike(processes: int, total: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avalanche_aim.distributed.rows.world_size", lambda: processes)
    seen, weights = [], 0.0
    for rank in range(processes):
        monkeypatch.setattr("avalanche_aim.distributed.rows.rank", lambda rank=rank: rank)
        rows = Rows(total)
        own = rows.own(torch.arange(total))
        assert len(own) == max(1, rows.count) <= rows.most
        seen += own[: rows.count].tolist()
        weights += rows.weight
    assert sorted(seen) == list(range(total))
    assert weights == pytest.approx(processes)
