"""Be one of the processes of test_resumed.py: a run with checkpoints, which may be killed."""

import os
import signal
from pathlib import Path
from typing import Any

import torch
from avalanche.training.plugins import SupervisedPlugin
from distributed_runs import Watch, aim, clipped, language_model, language_strategy, outcome, tasks
from engines import sharding
from group import begin

from avalanche_aim import CheckpointPlugin, text_benchmark
from avalanche_aim.distributed import destroy_process_group, init_process_group, rank


class Killed(SupervisedPlugin, supports_distributed=True):
    """Kills this process after some iterations, as the machine would.

    :param after: how many; None for never.
    """

    def __init__(self, after: int | None) -> None:
        super().__init__()
        self.after = after

    def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        if strategy.clock.train_iterations + 1 == self.after:
            os.kill(os.getpid(), signal.SIGKILL)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def trained(folder: Path, replicas: int | None, kill_after: int | None = None) -> dict[str, Any]:
    """Train, or resume, with a checkpoint every two iterations."""
    torch.manual_seed(7)
    model = language_model("tiny", lora=True)
    if replicas is not None:
        sharding(replicas)(model)
    benchmark = text_benchmark(tasks(), model.tokenizer, cache=False)
    watch, checkpoint = Watch(), CheckpointPlugin(folder / "checkpoints", every=2)
    plugins = clipped(), aim(slow="exponential"), watch, Killed(kill_after), checkpoint
    strategy = language_strategy(model, *plugins, epochs=2)
    for number, experience in enumerate(checkpoint.resume(strategy, benchmark.train_stream)):
        strategy.train(experience)
        if number == len(benchmark.train_stream) - 1 or kill_after is None:
            strategy.eval(benchmark.test_stream[: experience.current_experience + 1])
    return outcome(strategy, watch)


def run(folder: Path, replicas: int | None, kill_after: int | None = None) -> None:
    """Be one of the processes."""
    begin()
    init_process_group()
    found = trained(folder, replicas, kill_after)
    if rank() == 0:
        torch.save(found, folder / "found.pt")
    destroy_process_group()


def refused(folder: Path, replicas: int | None) -> None:
    """Keep what the processes say of checkpoints that they cannot read."""
    begin()
    init_process_group()
    try:
        trained(folder, replicas)
    except ValueError as error:
        (folder / f"refused-{rank()}").write_text(str(error))
    destroy_process_group()
