"""What each process of test_processes.py runs: two tasks with an uneven memory batch, a model's loss of either kind."""

import os
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from trainer_runs import Network, trainer
from transformers import DataCollatorForSeq2Seq

from avalanche_aim import AIMCallback
from avalanche_aim.merging import FixedInterval
from avalanche_aim.text.model.tiny import tiny_model, tiny_tokenizer


def run(file: Path) -> None:
    """Train, and keep what came of it."""
    processes = int(os.environ.get("WORLD_SIZE", 1))
    torch.save({"by tokens": _tokens(processes), "by rows": _rows(processes)}, file)


def _tokens(processes: int) -> dict[str, Any]:
    """A language model, whose loss is a mean over the tokens of all processes."""
    tokenizer = tiny_tokenizer("causal")
    model = tiny_model("causal", len(tokenizer))

    def row(task: int, number: int) -> dict[str, Any]:
        prompt = tokenizer(f"{task}: {'very ' * (number % 3)}{number}", add_special_tokens=False).input_ids
        answer = tokenizer(" good" * (1 + number % 4), add_special_tokens=False).input_ids
        labels = [-100] * len(prompt) + answer
        return {"input_ids": prompt + answer, "labels": labels, "attention_mask": [1] * len(labels)}

    datasets = [Dataset.from_list([row(task, number) for number in range(16)]) for task in range(2)]
    return _trained(model, datasets, processes, data_collator=DataCollatorForSeq2Seq(tokenizer))


def _rows(processes: int) -> dict[str, Any]:
    """A network whose loss is a mean over rows."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(32, 8, generator=generator), torch.randint(6, (32,), generator=generator)
    datasets = [Dataset.from_dict({"x": x[part].tolist(), "labels": y[part].tolist()})
                for part in (slice(0, 16), slice(16, 32))]  # fmt: skip
    return _trained(Network(), datasets, processes)


def _trained(model: Any, datasets: list[Any], processes: int, **more: Any) -> dict[str, Any]:
    aim = AIMCallback("paper", memory=7, schedule=FixedInterval(2), rehearsal={"batch_size": 6, "max_grad_norm": 1.0})
    for dataset in datasets:
        one = trainer(
            model,
            dataset,
            per_device_train_batch_size=4 // processes,
            gradient_accumulation_steps=2,
            ddp_backend="gloo" if processes > 1 else None,
            adam_epsilon=1e-3,  # Adam divides by tiny gradients, whose rounding would grow
            **more,
        )
        aim.bind(one)
        one.train()
    return {
        "weights": torch.cat([weight.detach().reshape(-1) for weight in model.parameters()]),
        "history": aim.history.to_dict(),
        "memory": aim.memory.selected,
        "wrapped": type(one.model_wrapped).__name__,
    }
