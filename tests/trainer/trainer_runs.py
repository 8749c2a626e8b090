"""Runs that the callback's tests share: a small network on three tasks, in a Trainer and in Avalanche."""

from pathlib import Path
from typing import Any

import torch
from avalanche.benchmarks.scenarios.supervised import class_incremental_benchmark
from avalanche.benchmarks.utils import as_classification_dataset
from avalanche.training import Naive
from avalanche.training.plugins import EvaluationPlugin
from datasets import Dataset
from torch import Tensor, nn
from torch.utils.data import TensorDataset
from transformers import Trainer, TrainingArguments

from avalanche_aim import AIMCallback, AIMMergingPlugin
from avalanche_aim.merging import FixedInterval

ROWS, BATCH, EPOCHS, TASKS = 32, 8, 2, 3
STEPS = ROWS // BATCH * EPOCHS
NEVER = 10**6


class Network(nn.Module):
    """What a Trainer trains: inputs and labels in, loss and logits out."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 6))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Any:
        logits = self.layers(x)
        return logits if labels is None else {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def benchmark() -> Any:
    """Six classes, two of them in each task, as Avalanche has them."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(ROWS * TASKS) % 6
    dataset = TensorDataset(torch.randn(len(y), 8, generator=generator) + nn.functional.one_hot(y, 8), y)
    dataset.targets = y.tolist()  # type: ignore[attr-defined]
    streams = {name: as_classification_dataset(dataset) for name in ("train", "test")}
    return class_incremental_benchmark(streams, num_experiences=TASKS, class_order=list(range(6)))


def tasks(**more: Any) -> list[Dataset]:
    """The same rows as one data set for each task; ``more`` are further columns."""
    parts = [[experience.dataset[row][:2] for row in range(ROWS)] for experience in benchmark().train_stream]
    return [
        Dataset.from_dict({"x": [x.tolist() for x, _ in part], "labels": [int(y) for _, y in part], **more})
        for part in parts
    ]


def trainer(model: Any, dataset: Any, folder: Path | str = "unused", kind: type = Trainer, **changes: Any) -> Any:
    """Make a Trainer that says nothing and takes the rows in their order."""
    optimizers = changes.pop("optimizers", (None, None))
    others = {
        name: changes.pop(name)
        for name in ("data_collator", "model_init", "callbacks", "eval_dataset")
        if name in changes
    }
    settings = {
        "per_device_train_batch_size": BATCH,
        "num_train_epochs": EPOCHS,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "constant",
        "max_grad_norm": 0.0,
        "train_sampling_strategy": "sequential",
        "save_strategy": "no",
        "logging_steps": 4,
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
        **changes,
    }
    arguments = TrainingArguments(output_dir=str(folder), **settings)
    model = None if "model_init" in others else model
    return kind(model=model, args=arguments, train_dataset=dataset, optimizers=optimizers, **others)


def train(aim: AIMCallback | None, model: nn.Module | None = None, datasets: Any = None, **changes: Any) -> nn.Module:
    """Train on all tasks, each with a Trainer of its own and one optimizer for all."""
    model = Network() if model is None else model
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for dataset in tasks() if datasets is None else datasets:
        one = trainer(model, dataset, **{"optimizers": (optimizer, None), **changes})
        if aim is not None:
            aim.bind(one)
        one.train()
    return model


def merging(interval: int = 4, **settings: Any) -> AIMCallback:
    """Return a callback that merges often."""
    return AIMCallback(**{"preset": "paper", "memory": 6, "schedule": FixedInterval(interval), **settings})


def avalanche(plugin: AIMMergingPlugin) -> nn.Module:
    """Train the same network on the same batches in Avalanche."""
    model = Network()
    strategy = Naive(
        model=model,
        optimizer=torch.optim.Adam(model.parameters(), lr=1e-2),
        criterion=nn.CrossEntropyLoss(),
        train_mb_size=BATCH,
        train_epochs=EPOCHS,
        plugins=[plugin],
        evaluator=EvaluationPlugin(loggers=[]),
    )
    for experience in benchmark().train_stream:
        strategy.train(experience, shuffle=False)
    return model


def weights(model: nn.Module) -> Tensor:
    return torch.cat([weight.detach().reshape(-1) for weight in model.parameters()])


def merges(aim: Any) -> list[tuple[int, int]]:
    return [(merge.experience, merge.iteration) for merge in aim.history.merges]
