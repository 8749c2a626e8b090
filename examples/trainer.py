"""Without Avalanche: transformers.Trainer on three tasks, one after another, with the callback and without it.

python examples/trainer.py                # the shipped sample, SmolLM2-135M with LoRA, some minutes on a CPU
python examples/trainer.py --model tiny   # a smoke run, in seconds
"""

import argparse
import tempfile
from typing import Any

import demo_model
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    Trainer,
    TrainingArguments,
    set_seed,
)

from avalanche_aim import AIMCallback, TextTask
from avalanche_aim.text import DEFAULT_MODEL, read_tasks, resolve_model
from avalanche_aim.text.data.layouts import SAMPLE
from avalanche_aim.text.model.tiny import tiny_model, tiny_tokenizer

TASKS = ["questions", "reviews", "news"]


def load(name: str) -> tuple[Any, Any]:
    """Return a model with LoRA, always from the same seed, and its tokenizer."""
    if name == "tiny":
        tokenizer = tiny_tokenizer("causal")
        model = tiny_model("causal", len(tokenizer))
    else:
        tokenizer = AutoTokenizer.from_pretrained(resolve_model(name))
        model = AutoModelForCausalLM.from_pretrained(resolve_model(name))
    set_seed(0)
    lora = LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=32, target_modules=["q_proj", "v_proj"])
    return get_peft_model(model, lora), tokenizer


def encode(task: TextTask, split: str, tokenizer: Any, tokens: int) -> Dataset:
    """Rows of prompt and answer; the memory is balanced over the column "answer", which the model is not given."""
    rows = []
    for example in task.split(split):
        prompt = tokenizer(example.prompt, truncation=True, max_length=tokens).input_ids
        answer = [*tokenizer(f" {example.answer}").input_ids, tokenizer.eos_token_id]
        labels = [-100] * len(prompt) + answer
        rows.append({"input_ids": prompt + answer, "labels": labels, "answer": example.answer})
    return Dataset.from_list(rows)


def likeliest(logits: Any, labels: torch.Tensor) -> torch.Tensor:
    """Keep the likeliest token at each place."""
    return logits.argmax(-1)


def exact_match(prediction: Any) -> dict[str, float]:
    """Greedy decoding gives an answer exactly where each of its tokens is the likeliest after those before it."""
    predicted, labels = prediction.predictions[:, :-1], prediction.label_ids[:, 1:]
    right = ((predicted == labels) | (labels == -100)).all(axis=1)
    return {"exact_match": 100 * float(right.mean())}


def train(aim: AIMCallback | None, arguments: argparse.Namespace, folder: str) -> None:
    """Train on all tasks, and print the scores on all of them after each."""
    model, tokenizer = load(arguments.model)
    tasks = [task.sample(arguments.train_per_task, arguments.eval_per_task, 0) for task in read_tasks(SAMPLE, TASKS)]
    tests = {task.name: encode(task, "test", tokenizer, arguments.max_prompt_tokens) for task in tasks}
    for task in tasks:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder,
                per_device_train_batch_size=arguments.batch_size,
                per_device_eval_batch_size=16,
                num_train_epochs=arguments.epochs,
                learning_rate=arguments.learning_rate,
                lr_scheduler_type="constant",
                save_strategy="no",
                logging_strategy="no",
                report_to=[],
            ),
            train_dataset=encode(task, "train", tokenizer, arguments.max_prompt_tokens),
            eval_dataset=tests,
            data_collator=DataCollatorForSeq2Seq(tokenizer),
            compute_metrics=exact_match,
            preprocess_logits_for_metrics=likeliest,
        )
        if aim is not None:
            aim.bind(trainer, label_column="answer")
        trainer.train()
        scores = trainer.evaluate()
        line = "  ".join(f"{name} {scores[f'eval_{name}_exact_match']:5.1f}" for name in tests)
        print(f"after {task.name:9}  {line}", flush=True)


def main(argv: list[str] | None = None) -> int:
    """Train twice, and print what the callback did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="a Hugging Face id, a folder, or tiny")
    parser.add_argument("--train-per-task", type=int, default=32, help="training examples of each task")
    parser.add_argument("--eval-per-task", type=int, default=12, help="test examples of each task")
    parser.add_argument("--batch-size", type=int, default=4, help="training examples of an iteration")
    parser.add_argument("--epochs", type=int, default=1, help="passes over each task's examples")
    parser.add_argument("--learning-rate", type=float, default=5e-4, help="of AdamW, constant")
    parser.add_argument("--max-prompt-tokens", type=int, default=96, help="where prompts are cut")
    parser.add_argument("--memory", type=int, default=8, help="examples of each task that are rehearsed")
    arguments = parser.parse_args(argv)
    demo_model.prepare(argv)

    with tempfile.TemporaryDirectory() as folder:
        print("Exact match in percent, without the callback:")
        train(None, arguments, folder)
        print("With AIMCallback:")
        aim = AIMCallback(memory=arguments.memory)
        train(aim, arguments, folder)
    for merge in aim.history.merges:
        print(
            f"merge in {TASKS[merge.experience]}, iteration {merge.iteration}: {merge.reason} after {merge.elapsed} "
            f"iterations, α₁ {merge.alpha_new:.2f}, next interval {merge.next_interval}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
