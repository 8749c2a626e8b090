"""Several processes, one training: AIMMerging on torch's engines, which the launcher's settings choose.

python examples/distributed.py --batch-size 8                                     # one process
torchrun --nproc_per_node 2 examples/distributed.py --batch-size 4                # two, with DDP: the same result
accelerate launch --multi_gpu --num_processes 2 examples/distributed.py           # the same, on CPUs too
accelerate launch --config_file examples/fsdp2.yaml examples/distributed.py       # sharded with FSDP2, on GPUs
"""

import argparse

import torch
from accelerate import Accelerator
from avalanche.training import Naive
from avalanche.training.plugins import EvaluationPlugin

from avalanche_aim import AIMMergingPlugin, CheckpointPlugin, DataParallel, LanguageModel, standard_cl
from avalanche_aim.distributed import (
    destroy_process_group,
    is_main_process,
    local_main_process_first,
    shard,
    world_size,
)
from avalanche_aim.evaluation import ResultMatrix, text_metrics
from avalanche_aim.merging.task_vectors import whole


def main(argv: list[str] | None = None) -> int:
    """Train on the sample, and print what came out, in the first process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny", help="a Hugging Face id, a folder, or tiny")
    parser.add_argument("--batch-size", type=int, default=4, help="training examples of an iteration, in each process")
    parser.add_argument(
        "--checkpoints", help="a folder: the same command resumes from it, with any number of processes"
    )
    parser.add_argument("--out", help="a folder for the trained adapter")
    arguments = parser.parse_args(argv)

    accelerator = Accelerator()  # joins the processes that the launcher started
    torch.manual_seed(0)
    with local_main_process_first():  # one process a machine downloads and tokenises, the others find it done
        # Dropout is the one thing that differs from process to process.
        model = LanguageModel.from_pretrained(arguments.model, lora={"lora_dropout": 0.0})
        benchmark = standard_cl(1, model.tokenizer, data="sample", train_per_task=32, eval_per_task=8)
    shard(model, accelerator)  # where the launcher's settings ask for FSDP
    aim, matrix = AIMMergingPlugin(memory=8), ResultMatrix()
    checkpoint = CheckpointPlugin(arguments.checkpoints) if arguments.checkpoints else None
    strategy = Naive(
        model=model,
        optimizer=torch.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=0.0),
        criterion=model.criterion,
        train_mb_size=arguments.batch_size,
        eval_mb_size=8,
        device=accelerator.device,
        plugins=[DataParallel(accelerator), aim, *([checkpoint] if checkpoint else [])],
        evaluator=EvaluationPlugin(matrix, *text_metrics()[:2], loggers=[]),
    )
    stream = benchmark.train_stream
    for experience in checkpoint.resume(strategy, stream) if checkpoint else stream:
        strategy.train(experience)
        strategy.eval(benchmark.test_stream[: experience.current_experience + 1])
    length = sum(float(whole(weight.detach()).abs().sum()) for weight in model.parameters())  # in all processes
    if arguments.out:
        model.save_pretrained(arguments.out)
    if is_main_process():
        merges = [(merge.experience, merge.iteration) for merge in aim.history.merges]
        print(f"{world_size()} processes, {strategy.clock.train_iterations} iterations, merges at {merges}")
        print("R =", matrix.rows)
        print("|θ| =", round(length, 3))
    destroy_process_group()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
