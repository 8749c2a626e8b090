"""The runs of a comparison as tasks of a Ray cluster: the results of one process, whatever happens to workers."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from avalanche_aim.__main__ import main
from avalanche_aim.experiments.result import Key
from avalanche_aim.storage.files import locked

ray = pytest.importorskip("ray", reason="needs ray: pip install 'avalanche-aim[ray]'")
cluster = pytest.importorskip("avalanche_aim.experiments.cluster")

DIGITS = [
    *("--benchmark", "digits", "--device", "cpu", "--train-per-task", "32", "--eval-per-task", "10"),
    *("--batch-size", "8", "--memory", "8", "--checkpoint-every", "1"),
]
PLUGIN = '''
import os, signal
from pathlib import Path
from avalanche.training import Naive
from avalanche.training.plugins import SupervisedPlugin
from avalanche_aim.experiments import STRATEGIES, Strategy

class Deadly(SupervisedPlugin):
    """Kills its process at the seventh iteration, so many times; writes down each iteration."""
    def __init__(self, log, times):
        super().__init__()
        self.log, self.times = Path(log), times
    def before_training_iteration(self, strategy, *args, **kwargs):
        at = strategy.clock.train_iterations
        with self.log.open("a") as file:
            file.write(f"{at}\\n")
        if at == 6 and self.log.read_text().split().count("6") <= self.times:
            os.kill(os.getpid(), signal.SIGKILL)
    def state_dict(self):
        return {}
    def load_state_dict(self, state):
        pass

def broken(budget):
    raise RuntimeError("no such thing")

STRATEGIES["deadly"] = Strategy(Naive, lambda budget, log, times=1: {"plugins": [Deadly(log, times)]})
STRATEGIES["broken"] = Strategy(Naive, broken)
'''


@pytest.fixture(scope="module")
def two_cores() -> Iterator[None]:
    """Start Ray on two cores."""
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, ignore_reinit_error=True)
    yield
    ray.shutdown()


@pytest.fixture
def plugin(tmp_path: Path) -> list[str]:
    """Return the arguments that add strategies which fail."""
    (tmp_path / "failing.py").write_text(PLUGIN)
    return ["--plugins", str(tmp_path / "failing.py")]


def measured(folder: Path) -> list[Any]:
    """Everything of the results but their cost, and the histories."""
    runs = json.loads((folder / "results.json").read_text())["runs"]
    histories = [(path.name, path.read_text()) for path in sorted((folder / "runs").glob("history_*"))]
    return [[{name: value for name, value in run.items() if name != "cost"} for run in runs], histories]


def run(folder: Path, *arguments: str, strategies: Sequence[str] = ("naive", "aim")) -> int:
    return main(["run", *DIGITS, "--strategies", *strategies, "--out", str(folder), *arguments])


# What is refused before anything runs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--runs-per-gpu", "2"], "runs_per_gpu: expected none without --ray"),
        (["--ray", "--runs-per-gpu", "2"], "runs_per_gpu: expected none on cpu"),
        (["--ray", "--device", "cuda", "--runs-per-gpu", "0"], "runs_per_gpu: expected an integer from 1"),
        (["--ray", "--device", "cuda:1"], "device: expected cpu or cuda on Ray"),
        (["--ray", "nowhere"], "expected the address of a cluster (host:6379), got 'nowhere'"),
        (["--ray", "127.0.0.1:1"], "expected the address of a cluster (host:6379), got '127.0.0.1:1'"),
    ],
)
def test_what_cannot_be_used_is_an_error(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "out", *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_something_else_that_listens_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(ConnectionError, match="timed out"):
        cluster._connect(f"127.0.0.1:{server.getsockname()[1]}")


def test_without_ray_the_command_to_install_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run(tmp_path, "--ray") == 2
    assert "pip install 'avalanche-aim[ray]'" in capsys.readouterr().err


# In workers


@pytest.mark.slow
def test_results_are_those_of_one_process(two_cores: None, tmp_path: Path) -> None:
    both = ("--seeds", "0", "1", "--fwt")
    assert run(tmp_path / "ray", *both, "--ray") == 0
    assert run(tmp_path / "one", *both) == 0
    assert measured(tmp_path / "ray") == measured(tmp_path / "one")
    assert not list((tmp_path / "ray" / "runs").glob("*.lock"))


@pytest.mark.slow
def test_a_run_whose_worker_is_killed_is_tried_once_more_and_resumes(
    two_cores: None, plugin: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "iterations"
    options = ("--options", json.dumps({"deadly": {"log": str(log)}}))
    assert run(tmp_path / "ray", *plugin, *options, "--ray", strategies=("deadly", "naive")) == 0
    assert "deadly, order 1, seed 0: its worker was lost" in capsys.readouterr().out
    assert log.read_text().split() == [*map(str, range(7)), *map(str, range(6, 20))]
    (deadly, naive), _ = measured(tmp_path / "ray")
    assert deadly["r"] == naive["r"]


@pytest.mark.slow
def test_a_run_that_fails_or_loses_two_workers_is_recorded_and_costs_no_other(
    two_cores: None, plugin: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--options", json.dumps({"deadly": {"log": str(tmp_path / "iterations"), "times": 2}}))
    assert run(tmp_path / "ray", *plugin, *options, "--ray", strategies=("deadly", "broken", "naive")) == 1
    printed = capsys.readouterr()
    assert "broken, order 1, seed 0 failed: RuntimeError: no such thing" in printed.out
    assert "deadly, order 1, seed 0 failed: WorkerCrashedError" in printed.out
    content = json.loads((tmp_path / "ray" / "results.json").read_text())
    assert [run["strategy"] for run in content["runs"]] == ["naive"]
    assert sorted(failed["strategy"] for failed in content["failed"]) == ["broken", "deadly"]


@pytest.mark.slow
def test_after_ctrl_c_the_same_command_goes_on(two_cores: None, tmp_path: Path) -> None:
    def stop() -> None:
        while not list((tmp_path / "ray" / "runs").glob("R_*.csv")):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=stop, daemon=True).start()
    many = ("--seeds", "0", "1", "2", "--epochs", "4")
    assert run(tmp_path / "ray", *many, "--ray") == 130
    before = {path: path.read_bytes() for path in (tmp_path / "ray" / "runs").glob("R_*.csv")}
    assert 0 < len(before) < 6
    assert run(tmp_path / "ray", *many, "--ray") == 0
    assert {path: path.read_bytes() for path in before} == before
    assert run(tmp_path / "one", *many) == 0
    assert measured(tmp_path / "ray") == measured(tmp_path / "one")


@pytest.mark.slow
def test_what_another_command_is_making_is_left_to_it(
    two_cores: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with locked(tmp_path / "ray" / "runs" / f"{Key('naive', '1', 0).stem}.lock", wait=False):
        assert run(tmp_path / "ray", "--ray") == 0
    assert "Other commands are still making 1 of these runs" in capsys.readouterr().out
    assert [run["strategy"] for run in measured(tmp_path / "ray")[0]] == ["aim"]


@pytest.mark.slow
def test_a_machine_with_other_versions_cannot_take_part(
    two_cores: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avalanche_aim.experiments.worker.versions", lambda: {"torch": "1.0"})
    assert run(tmp_path / "ray", "--ray") == 2
    assert "can't take part (ValueError: expected the versions" in capsys.readouterr().err


@pytest.mark.slow
def test_tuning_gives_what_it_gives_in_one_process(two_cores: None, tmp_path: Path) -> None:
    tune = ["tune", *DIGITS, "--strategies", "naive", "--learning-rates", "1e-3", "1e-2", "--extend", "0"]
    assert main([*tune, "--ray", "--out", str(tmp_path / "ray")]) == 0
    assert main([*tune, "--out", str(tmp_path / "one")]) == 0
    assert (tmp_path / "ray" / "tuned.json").read_text() == (tmp_path / "one" / "tuned.json").read_text()
