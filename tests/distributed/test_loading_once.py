"""A large model is read by one process of a machine, sharded, and its adapter written whole."""

from pathlib import Path

import loading
import pytest
import torch
from group import logs, together
from safetensors.torch import load_file

from avalanche_aim import LanguageModel
from avalanche_aim.distributed import init_process_group


@pytest.mark.slow
def test_one_process_reads_all_get_their_shards_and_one_adapter_is_written(tmp_path: Path) -> None:
    LanguageModel.from_pretrained("tiny", lora=False).save_pretrained(tmp_path / "model")
    assert together(2, tmp_path, loading.run, tmp_path, **loading.ENVIRONMENT) == [0, 0], logs(tmp_path)
    stored = load_file(tmp_path / "model" / "model.safetensors")["model.layers.0.self_attn.q_proj.weight"]
    (first, gathered), (second, also) = (torch.load(tmp_path / f"weight-{rank}.pt") for rank in range(2))
    assert torch.equal(first, stored)
    assert second is None
    assert torch.equal(gathered, stored)
    assert torch.equal(also, stored)
    adapter = LanguageModel.from_pretrained(str(tmp_path / "adapter"))
    assert all(bool((weight == 0.25).all()) for weight in adapter.parameters())


def test_a_launcher_that_is_set_up_for_fsdp_is_refused_where_models_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ValueError, match=r"expected a launcher that leaves models whole.*use torchrun"):
        init_process_group()
