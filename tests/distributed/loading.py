"""Be one of the processes of test_loading.py: a model that is read once and sharded as Accelerate does it."""

from pathlib import Path
from types import SimpleNamespace

import torch
from accelerate.utils import FullyShardedDataParallelPlugin
from group import begin
from torch import distributed

from avalanche_aim import LanguageModel
from avalanche_aim.distributed import destroy_process_group, is_main_process, rank, shard
from avalanche_aim.merging.task_vectors import is_sharded, whole

ENVIRONMENT = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",
               "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP"}  # fmt: skip
"""What ``accelerate launch`` sets for a file like examples/fsdp2.yaml."""


def accelerator() -> SimpleNamespace:
    """What Accelerate sets up on accelerators only, here for CPUs."""
    state = SimpleNamespace(fsdp_plugin=FullyShardedDataParallelPlugin())
    return SimpleNamespace(
        state=state, distributed_type="FSDP", is_fsdp2=True, mixed_precision="no", device=torch.device("cpu"),
        is_main_process=is_main_process(), process_index=rank(), torch_device_mesh=None, parallelism_config=None,
    )  # fmt: skip


def run(folder: Path) -> None:
    """Load, shard and save a model."""
    begin()
    distributed.init_process_group("gloo")
    model = LanguageModel.from_pretrained(str(folder / "model"))
    name, weight = next((n, p) for n, p in model.backbone.named_parameters() if "q_proj.base_layer" in n)
    read = None if weight.is_meta else weight.detach().clone()
    shard(model, accelerator())
    assert all(map(is_sharded, model.backbone.parameters()))
    torch.save((read, whole(dict(model.backbone.named_parameters())[name].detach())), folder / f"weight-{rank()}.pt")
    with torch.no_grad():
        for trained in model.parameters():
            trained.fill_(0.25)
    model.save_pretrained(folder / "adapter")
    destroy_process_group()
