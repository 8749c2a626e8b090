"""SIGTERM and Ctrl-C: a checkpoint at the next batch, the end of the process, and a run that resumes there."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from avalanche.training.plugins import SupervisedPlugin
from checkpoint_runs import ITERATIONS, Run, aim, names_in

from avalanche_aim import CheckpointPlugin
from avalanche_aim.__main__ import main
from avalanche_aim.checkpoint import CheckpointFolder, Terminated


class Signal(SupervisedPlugin):
    """Sends this process a signal in the middle of one iteration, once in all runs."""

    at: int | None = None
    sent = (signal.SIGTERM,)

    def before_backward(self, strategy: Any, **kwargs: Any) -> None:
        if strategy.clock.train_iterations == Signal.at:
            Signal.at = None
            for number in Signal.sent:
                os.kill(os.getpid(), number)


@pytest.fixture
def run(three_tasks: Any) -> Run:
    return Run(three_tasks.train_stream[:2], aim, Signal)


def test_the_iteration_ends_and_is_saved_and_the_run_resumes(
    run: Run, tmp_path: Path, same: Callable[..., bool]
) -> None:
    whole = run.train(CheckpointPlugin(tmp_path / "whole"))
    Signal.at = ITERATIONS + 4
    with pytest.raises(Terminated, match="terminated at experience 1, epoch 1, batch 1") as end:
        run.train(CheckpointPlugin(tmp_path / "ended"))
    assert end.value.code == 143
    assert names_in(tmp_path / "ended")[-1] == "checkpoint-0001-00000005.pt"
    assert same(run.train(CheckpointPlugin(tmp_path / "ended")), whole)


@pytest.fixture
def interrupting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Signal, "sent", (signal.SIGINT,))


@pytest.mark.usefixtures("interrupting")
def test_after_ctrl_c_the_iteration_ends_and_is_saved_and_the_run_resumes(
    run: Run, tmp_path: Path, same: Callable[..., bool], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = run.train(CheckpointPlugin(tmp_path / "whole"))
    Signal.at = ITERATIONS + 4
    checkpoint = CheckpointPlugin(tmp_path / "ended")
    with pytest.raises(KeyboardInterrupt, match="interrupted at experience 1, epoch 1, batch 1"):
        run.train(checkpoint)
    assert "Ctrl-C again stops at once" in capsys.readouterr().err
    assert names_in(tmp_path / "ended")[-1] == "checkpoint-0001-00000005.pt"
    assert same(run.train(checkpoint), whole)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_stops_at_once(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Signal, "sent", (signal.SIGINT, signal.SIGINT))
    Signal.at = 3
    with pytest.raises(KeyboardInterrupt) as end:
        run.train(CheckpointPlugin(tmp_path))
    assert not str(end.value)
    assert names_in(tmp_path) == ["checkpoint-0000-00000000.pt"]


@pytest.mark.usefixtures("interrupting")
def test_ctrl_c_that_the_process_ignores_stays_ignored(run: Run, tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        Signal.at = 3
        run.train(CheckpointPlugin(tmp_path))
    finally:
        signal.signal(signal.SIGINT, before)
    assert names_in(tmp_path)[-1] == f"checkpoint-0001-{ITERATIONS:08d}.pt"


def test_the_handler_is_put_back(run: Run, tmp_path: Path) -> None:
    def mine(*arguments: Any) -> None:
        """Be another handler."""

    before = signal.signal(signal.SIGTERM, mine)
    try:
        run.train(CheckpointPlugin(tmp_path / "whole"))
        assert signal.getsignal(signal.SIGTERM) is mine
        Signal.at = 3
        with pytest.raises(Terminated):
            run.train(CheckpointPlugin(tmp_path / "ended"))
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def test_it_can_be_left_alone(run: Run, tmp_path: Path) -> None:
    got: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: got.append(number))
    try:
        Signal.at = 3
        run.train(CheckpointPlugin(tmp_path, on_signals=False))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert got == [signal.SIGTERM]


def test_another_thread_trains_without_it(run: Run, tmp_path: Path) -> None:
    outcomes: list[Any] = []
    thread = threading.Thread(target=lambda: outcomes.append(run.train(CheckpointPlugin(tmp_path))))
    thread.start()
    thread.join()
    assert outcomes


COMMAND = [
    *("run", "--model", "tiny", "--precision", "fp32", "--device", "cpu", "--order", "news,reviews"),
    *("--train-per-task", "16", "--eval-per-task", "4", "--batch-size", "4", "--memory", "4", "--strategies", "aim"),
]


def test_a_comparison_ends_with_a_line_and_the_status_of_sigterm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save = CheckpointFolder.save

    def save_and_terminate(*arguments: Any) -> Path:
        path = save(*arguments)
        os.kill(os.getpid(), signal.SIGTERM)
        return path

    def unwatched(number: int, frame: Any) -> None:
        raise AssertionError("SIGTERM came through")

    monkeypatch.setattr(CheckpointFolder, "save", save_and_terminate)
    before = signal.signal(signal.SIGTERM, unwatched)
    try:
        with pytest.raises(SystemExit) as end:  # what ends the process, with this status
            main([*COMMAND, "--out", str(tmp_path)])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert end.value.code == 143
    assert "terminated at experience 0" in capsys.readouterr().err
    assert list(tmp_path.glob("checkpoints/*/checkpoint-*"))
    assert not (tmp_path / "results.json").exists()
