"""The data order, the memory's choice, monitoring and dropout draw from streams of their own."""

from typing import Any

import torch
from avalanche.training.plugins import SupervisedPlugin
from checkpoint_runs import Run, aim, small_network

from avalanche_aim import DataOrder, RehearsalMemory


def rows_seen(stream: Any, order: DataOrder, dropout: float, **settings: Any) -> dict[str, Any]:
    """Train, and return which rows came when, which are rehearsed, and what monitoring saw of the rows."""

    class Rows(SupervisedPlugin):
        seen: list[Any] = []  # noqa: RUF012

        def before_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
            self.seen.append(strategy.mb_x.sum(1).tolist())

    Rows.seen = []
    plugin = aim(**settings)
    monitored: list[Any] = []
    batch = plugin.memory.batch
    plugin.memory.batch = lambda size, generator, *rest: (
        monitored.append(batch(size, generator)[0]) or batch(size, torch.Generator().manual_seed(0))
    )
    model = small_network()
    model[3].p = dropout
    run = Run(stream, lambda: order, Rows, lambda: plugin, model=lambda: model)
    strategy = run.strategy()
    for experience in stream:
        strategy.train(experience)
    return {"order": Rows.seen, "memory": plugin.memory.selected, "monitored": [x.tolist() for x in monitored]}


def test_data_order_memory_and_monitoring_do_not_depend_on_dropout(stream: Any) -> None:
    plain, more = (rows_seen(stream, DataOrder(0), dropout) for dropout in (0.0, 0.5))
    assert plain == more


def test_the_seed_of_the_data_order_changes_the_order_alone(stream: Any) -> None:
    first, second = (rows_seen(stream, DataOrder(seed), 0.0) for seed in (0, 1))
    assert first["order"] != second["order"]
    assert (first["memory"], first["monitored"]) == (second["memory"], second["monitored"])


def test_the_memorys_seed_leaves_the_order_alone(stream: Any) -> None:
    first, second = (rows_seen(stream, DataOrder(0), 0.5, memory=RehearsalMemory(8, seed)) for seed in (0, 1))
    assert first["memory"] != second["memory"]
    assert first["order"] == second["order"]


def test_the_seed_of_monitoring_leaves_order_and_memory_alone(stream: Any) -> None:
    first, second = (rows_seen(stream, DataOrder(0), 0.5, memory=RehearsalMemory(8), seed=seed) for seed in (0, 1))
    assert first["monitored"] != second["monitored"]
    assert (first["memory"], first["order"]) == (second["memory"], second["order"])


def test_a_loader_that_is_taken_over_is_itself_in_all_else(stream: Any) -> None:
    lengths: list[Any] = []

    class Look(SupervisedPlugin):
        def before_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
            lengths.append((len(strategy.dataloader), strategy.dataloader.batch_size))

    Run(stream, DataOrder, Look).strategy().train(stream[0])
    assert set(lengths) == {(4, 8)}
