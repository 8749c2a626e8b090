"""The callback in TRL's SFTTrainer."""

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from trainer_runs import weights

from avalanche_aim import AIMCallback
from avalanche_aim.merging import FixedInterval
from avalanche_aim.text.model.tiny import tiny_model, tiny_tokenizer

pytest.importorskip("trl", reason="TRL is not installed: pip install trl")


def train(aim: AIMCallback | None, folder: Path, tasks: int = 2) -> Any:
    """Train a tiny language model on prompts with completions; return the last trainer."""
    from trl import SFTConfig, SFTTrainer

    tokenizer = tiny_tokenizer("causal")
    model = tiny_model("causal", len(tokenizer))
    for task in range(tasks):
        rows = [{"prompt": f"{task}, row {row}:", "completion": f" {row % 3}", "label": row % 3} for row in range(12)]
        arguments = SFTConfig(
            output_dir=str(folder),
            per_device_train_batch_size=2,
            gradient_accumulation_steps=2,
            num_train_epochs=2,
            learning_rate=1e-3,
            lr_scheduler_type="constant",
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        )
        dataset = Dataset.from_list(rows)
        trainer = SFTTrainer(
            model=model, args=arguments, train_dataset=dataset, eval_dataset=dataset, processing_class=tokenizer
        )
        if aim is not None:
            aim.bind(trainer)
        trainer.train()
    return trainer


COUNTED = ("loss", "num_tokens", "entropy", "mean_token_accuracy")


@pytest.mark.slow
def test_it_merges_balances_its_memory_and_leaves_trls_counts_alone(tmp_path: Path) -> None:
    aim = AIMCallback("paper", memory=3, schedule=FixedInterval(3))
    never = AIMCallback("paper", memory=3, schedule=FixedInterval(1000))
    merged, watched, plain = (train(callback, tmp_path) for callback in (aim, never, None))
    assert [(m.experience, m.iteration, m.merged) for m in aim.history.merges] == [(1, 3, True), (1, 6, True)]
    assert [sorted(row % 3 for row in rows) for rows in aim.memory.selected] == [[0, 1, 2], [0, 1, 2]]
    logs = [
        [[log[name] for name in COUNTED] for log in one.state.log_history if "loss" in log] for one in (watched, plain)
    ]
    assert logs[0] == logs[1]
    assert torch.equal(weights(watched.model), weights(plain.model))
    first = next(log for log in merged.state.log_history if "loss" in log)
    assert [first[name] for name in COUNTED[:2]] == logs[1][0][:2]
    assert merged.evaluate().keys() == plain.evaluate().keys()
