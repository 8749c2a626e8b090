"""Torch's engines against one process with whole batches: weights, losses, signals, decisions, memory and R."""

from functools import cache
from pathlib import Path
from typing import Any

import engines
import pytest
import torch
from distributed_runs import LANGUAGE, OTHER_PRESETS
from group import logs, together
from nearly import nearly

ENGINES = {"DDP": (2, None), "FSDP2 of 2": (2, 1), "FSDP2 of 3": (3, 1), "HSDP of 2x2": (4, 2)}
"""Processes and replicas."""


@cache
def alone(name: str) -> dict[str, Any]:
    return LANGUAGE[name]()


@pytest.fixture(scope="module", params=ENGINES.items(), ids=list(ENGINES))
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    """Run everything with one engine."""
    folder = tmp_path_factory.mktemp("engine")
    processes, replicas = request.param[1]
    codes = together(processes, folder, engines.run, folder, list(LANGUAGE), replicas)
    assert codes == [0] * processes, logs(folder)
    return processes, folder


@pytest.mark.slow
@pytest.mark.parametrize("name", LANGUAGE)
def test_all_is_as_in_one_process(name: str, engine: tuple[int, Path]) -> None:
    processes, folder = engine
    theirs = alone(name)
    for rank in range(processes):
        ours = torch.load(folder / f"{name}-{rank}.pt", weights_only=False)
        for weight, whole in zip(ours["weights"], theirs["weights"], strict=True):
            torch.testing.assert_close(weight, whole, rtol=0, atol=1e-6)
        for part in ("losses", "history", "metrics"):
            assert nearly(ours[part], theirs[part], rel=1e-4, abs=1e-5), part
        for part in ("r", "memory", "random"):
            assert ours[part] == theirs[part], part


@pytest.mark.slow
def test_without_reduction_it_is_not(engine: tuple[int, Path]) -> None:
    _, folder = engine
    if (file := folder / "unreduced-0.pt").is_file():
        ours = torch.load(file, weights_only=False)["weights"]
        theirs = alone("naive")["weights"]
        assert max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True)) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["paper", "reference", "economical", "full", "full-t5", "dare", "self-written", *OTHER_PRESETS]
)
def test_there_were_merges_and_scores(name: str) -> None:
    assert alone(name)["history"]["merges"]
