"""What sharded models cannot be trained with."""

from typing import Any

import pytest
from avalanche.training.plugins import EWCPlugin, LwFPlugin, MASPlugin, RWalkPlugin, SynapticIntelligencePlugin
from distributed_runs import class_strategy
from torch import nn

from avalanche_aim import AIMMergingPlugin
from avalanche_aim.distributed import sharding
from avalanche_aim.experiments.rivals.magmax import MagMax
from avalanche_aim.experiments.rivals.slao import SLAO


@pytest.mark.parametrize(
    "plugin",
    [EWCPlugin(1.0), MASPlugin(), SynapticIntelligencePlugin(1.0), RWalkPlugin(), LwFPlugin(), MagMax(), SLAO()],
    ids=lambda plugin: type(plugin).__name__,
)
def test_plugins_that_need_whole_weights_are_refused_by_name(plugin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharding.task_vectors, "is_sharded", lambda weight: True)
    strategy = class_strategy(nn.Linear(8, 6), plugin, AIMMergingPlugin())
    with pytest.raises(ValueError, match=rf"got {type(plugin).__name__} \(.*train with DDP: leave the model whole"):
        sharding.check_sharded(strategy)


def test_merging_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharding.task_vectors, "is_sharded", lambda weight: True)
    sharding.check_sharded(class_strategy(nn.Linear(8, 6), AIMMergingPlugin()))


def test_trainable_weights_that_are_left_whole_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharding.task_vectors, "is_sharded", lambda weight: weight.dim() > 1)
    with pytest.raises(ValueError, match=r"got 1 that are whole, bias first; leave ignored_params out"):
        sharding.check_sharded(class_strategy(nn.Linear(8, 6)))


def test_fsdp_of_version_1_is_refused() -> None:
    class Old:
        distributed_type, is_fsdp2 = "FSDP", False

    with pytest.raises(ValueError, match=r"expected FSDP of version 2, got 1; set fsdp_version: 2"):
        sharding.shard(nn.Linear(8, 6), Old())


def test_a_model_is_left_whole_where_accelerate_is_not_set_up_for_fsdp() -> None:
    class Plain:
        distributed_type = "NO"

    model = nn.Linear(8, 6)
    sharding.shard(model, Plain())
    assert not sharding.is_sharded(model)
