"""The method's arithmetic on weights that are sharded over processes, against the same weights whole."""

from pathlib import Path

import pytest
import sharded_weights
import torch
from group import logs, together


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "replicas"), [(3, 1), (4, 2)])
def test_measures_and_merges_are_those_of_whole_weights(processes: int, replicas: int, tmp_path: Path) -> None:
    assert together(processes, tmp_path, sharded_weights.run, tmp_path, replicas) == [0] * processes, logs(tmp_path)
    for rank in range(processes):
        whole, sharded = torch.load(tmp_path / f"found-{rank}.pt", weights_only=False)
        assert not whole["still finite"]
        for name, value in whole.items():
            torch.testing.assert_close(sharded[name], value, rtol=1e-5, atol=1e-6, msg=f"{name} of process {rank}")
