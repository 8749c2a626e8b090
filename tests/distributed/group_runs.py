"""Be one of the processes of test_data_parallel.py."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from avalanche.training import AGEM
from avalanche.training.plugins import SupervisedPlugin
from distributed_runs import LANGUAGE, Double, aim, class_strategy, classes, classifier, clipped, language_run
from group import begin
from torch import nn

from avalanche_aim import DataParallel, GradientStep, LearningRateSchedule
from avalanche_aim.distributed import agreement, destroy_process_group, init_process_group, rank, world_size
from avalanche_aim.experiments import Comparison, Configuration
from avalanche_aim.storage.versions import versions


class Overflow(SupervisedPlugin, supports_distributed=True):
    """Makes the gradient of the second iteration infinite, in the last process alone."""

    def __init__(self) -> None:
        super().__init__()
        self.iterations = 0

    def after_forward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.iterations += 1
        if self.iterations == 2 and rank() == world_size() - 1:
            strategy.mb_output.register_hook(lambda gradient: gradient * float("inf"))


def overflow() -> dict[str, Any]:
    """A loss scale with which one process overflows, in one iteration."""
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    torch.manual_seed(3)
    model = Double(nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 6)).double())
    strategy = class_strategy(model, DataParallel(), GradientStep(scaler=scaler), Overflow())
    strategy.train(classes().train_stream[0])
    return {"weights": [p.detach() for p in model.parameters()], "scale": scaler.get_scale()}


class Noisy(nn.Module):
    """Keeps the noise that it drew."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 6)
        self.noise: list[list[float]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.noise.append(torch.rand(2).tolist())
        return self.layer(x)


def noise() -> dict[str, Any]:
    """Random numbers inside a model, and after it."""
    model = Noisy()
    class_strategy(model, DataParallel(), train_mb_size=8).train(classes().train_stream[0])
    return {"noise": model.noise, "later": torch.rand(2).tolist()}


def refusals() -> dict[str, str]:
    """What several processes cannot do."""
    learning_rate = 0.1 * (1 + rank())
    return {
        "unshared": _refused([aim()]),
        "second": _refused([LearningRateSchedule(), DataParallel()]),
        "a-gem": _refused([DataParallel()], AGEM, patterns_per_exp=12, sample_size=4),
        "settings": _refused([DataParallel()], learning_rate=learning_rate),
        "data": _refused([DataParallel()], examples=36 + rank()),
        "versions": _other_versions(),
        "rows": _refused([DataParallel(), _OwnOrder()]),
        "accelerate": _refused([DataParallel(_Fsdp())]),
    }


def _other_versions() -> str:
    """What is said where this process has another torch than the first one."""
    here = versions()
    with patch.object(agreement, "versions", lambda: {**here, "torch": f"2.{rank()}"}):
        return _refused([DataParallel()])


class _OwnOrder(SupervisedPlugin, supports_distributed=True):
    """Lets each process draw its rows in an order of its own."""

    def before_training_epoch(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        torch.manual_seed(rank())


class _Fsdp:
    """An accelerator that is set up for FSDP, which Accelerate does on accelerators only."""

    distributed_type, mixed_precision = "FSDP", "no"


def _refused(
    plugins: list[Any], template: Any = None, learning_rate: float = 0.1, examples: int = 66, **arguments: Any
) -> str:
    torch.manual_seed(3)
    kinds = {} if template is None else {"template": template}
    strategy = class_strategy(nn.Linear(8, 6), *plugins, train_mb_size=2, **kinds, **arguments)
    strategy.optimizer.defaults["lr"] = learning_rate
    for group in strategy.optimizer.param_groups:
        group["lr"] = learning_rate
    try:
        for experience in classes(examples).train_stream:
            strategy.train(experience)
    except ValueError as error:
        return str(error)
    return "nothing was refused"


def comparison(folder: Path) -> dict[str, Any]:
    """A comparison, which one process writes."""
    configuration = Configuration(
        model="tiny", strategies=("aim",), train_per_task=4, eval_per_task=1, batch_size=2, memory=2, fwt=True,
        precision="fp32", device="cpu", options={"aim": {"rehearsal": {"batch_size": 3}}},
    )  # fmt: skip
    done = Comparison(configuration, folder)
    done.run()
    again = Comparison(configuration, folder)
    (result,) = done.results
    return {"r": result.r, "single": result.single, "iterations": result.cost.iterations,
            "passes": result.cost.gradient_passes, "finished": len(again.results)}  # fmt: skip


def short(folder: Path) -> None:
    """The runs of the default tests, and a process that fails at the end."""
    begin()
    init_process_group()
    found = {"paper": LANGUAGE["paper"](), "classifier": classifier(), "overflow": overflow(), "noise": noise()}
    found |= {"refusals": refusals(), "comparison": comparison(folder / "comparison")}
    torch.save(found, folder / f"found-{rank()}.pt")
    language_run(make=lambda: (clipped(),), fail_after=1 if rank() == 1 else float("inf"))
    destroy_process_group()


def dropout(folder: Path) -> None:
    """Noise that differs, weights that do not."""
    begin()
    init_process_group()
    found = language_run(make=lambda: (aim(rehearsal={"monitor": "train"}),), dropout=0.3)
    torch.save(found, folder / f"found-{rank()}.pt")
    destroy_process_group()
