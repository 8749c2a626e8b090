"""The time of the callback's own work in a Trainer, as a share of the training time.

As in benchmarks/own_work.py, training time is that of the training steps alone, the passes over the memory left out.
"""

import tempfile
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

from avalanche_aim import AIMCallback
from avalanche_aim.text import resolve_model
from avalanche_aim.text.model.tiny import tiny_model
from benchmarks.figures import Figure, Options
from benchmarks.own_work import LIMIT, TINY_LIMIT
from benchmarks.stopwatch import Stopwatch
from benchmarks.workload import ITERATIONS, REAL_BATCH_SIZE, REAL_PROMPT_TOKENS

VOCABULARY = 500
"""Tokens that rows are made of; every model has more."""


def figures(options: Options) -> list[Figure]:
    """Measure the default preset, and the paper's, which watches both signals.

    :param options: with what to measure; a seq2seq model is measured as a causal one.
    """
    return [figure for preset in ("lean", "paper") for figure in _measure(options, preset)]


def _measure(options: Options, preset: str) -> list[Figure]:
    """Train task after task; the first, without memory, is not measured."""
    if options.is_tiny:
        model = tiny_model("causal", VOCABULARY)
    else:
        model = AutoModelForCausalLM.from_pretrained(resolve_model(options.model))
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=8, target_modules=["q_proj", "v_proj"]))
    aim = AIMCallback(preset, memory=2 * REAL_BATCH_SIZE)
    own, step = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.repeats(5) + 1):
            trainer, watch = _trainer(model, number, folder), Stopwatch()
            aim.bind(trainer)
            with watch.on_trainer(aim, trainer, torch.optim.AdamW):
                trainer.train()
            if number:
                own.append(100 * watch.seconds("own") / watch.seconds("training"))
                step.append(1000 * watch.seconds("training") / ITERATIONS)
    name, limit = options.model.split("/")[-1], TINY_LIMIT if options.is_tiny else LIMIT
    return [
        Figure(f"own work / training time in a Trainer, {preset}, {name}", own, limit, " %"),
        Figure(f"a training step of a Trainer, {preset}, {name}", step, unit=" ms"),
    ]


def _trainer(model: Any, task: int, folder: str) -> Any:
    generator = torch.Generator().manual_seed(task)
    rows = torch.randint(VOCABULARY, (ITERATIONS * REAL_BATCH_SIZE, REAL_PROMPT_TOKENS), generator=generator).tolist()
    arguments = TrainingArguments(
        output_dir=folder,
        per_device_train_batch_size=REAL_BATCH_SIZE,
        num_train_epochs=1,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    return Trainer(model=model, args=arguments, train_dataset=Dataset.from_dict({"input_ids": rows, "labels": rows}))
