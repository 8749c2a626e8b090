"""The method at work in a plain loop, without Avalanche."""

import pytest
import torch
from torch import nn

from avalanche_aim.merging import (
    PRESETS,
    Diagnosis,
    FixedInterval,
    IterativeMerging,
    Recorder,
    TailAverage,
    interpolate,
)
from avalanche_aim.rehearsal import Rehearsal
from avalanche_aim.training.plain_loop import PlainLoop


class Rows:
    """A memory in two lists."""

    def __init__(self):
        self.selected, self.rows = [], []

    def __len__(self):
        return len(self.rows)

    def add(self, batches):
        kept = [(x[0], y[0]) for x, y in batches]
        self.selected.append(list(range(len(kept))))
        self.rows += kept

    def batch(self, size, generator, among=None):
        among = range(len(self)) if among is None else among
        chosen = [self.rows[among[i]] for i in torch.randperm(len(among), generator=generator)[:size].tolist()]
        return [torch.stack(field) for field in zip(*chosen, strict=True)]


def tasks(count=2, iterations=8):
    generator = torch.Generator().manual_seed(0)
    return [[(torch.randn(4, 3, generator=generator) + task, torch.full((4,), task)) for _ in range(iterations)]
            for task in range(count)]  # fmt: skip


def trained(batch_size=4, at_once=None, slow=None, iterator=False):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 2))
    loop = PlainLoop(model, torch.optim.Adam(model.parameters(), lr=1e-2), nn.CrossEntropyLoss(), batch_size)
    loop.at_once = at_once
    memory, rehearsal = Rows(), Rehearsal(ratio=0.5)
    rehearsal.prepare(memory, seed=0)
    controller = PRESETS["paper"].controller(schedule=FixedInterval(4), rehearsal={"ratio": 0.5})
    merging = IterativeMerging(controller, interpolate, rehearsal, slow, Recorder(Diagnosis()))
    for number, batches in enumerate(tasks()):
        loop.train(merging, iter(batches) if iterator else batches, number)
        memory.add(batches)
    return merging, model


def test_a_plain_loop_merges_as_its_schedule_says():
    merging, _ = trained()
    merges = merging.recorder.history.merges
    assert [(m.experience, m.iteration, m.memory_iterations) for m in merges] == [(1, 4, 2), (1, 8, 2)]
    assert [r.iteration for r in merging.recorder.history.iterations] == list(range(1, 9))


def test_memory_batches_in_parts_have_the_gradient_of_the_whole_batch():
    loop = PlainLoop(nn.Linear(3, 2), None, nn.CrossEntropyLoss(), 4)
    batch, found = tasks()[0][0], []
    for at_once in (None, 1, 3):
        loop.model.zero_grad()
        loss = loop.loss(batch, at_once)
        loop.backward(loss)
        found.append((float(loss.detach()), loop.model.weight.grad.clone()))
    for value, gradient in found[1:]:
        assert value == pytest.approx(found[0][0])
        torch.testing.assert_close(gradient, found[0][1])


def test_the_length_of_a_list_of_batches_is_known():
    merging, _ = trained(slow=TailAverage(0.5))
    assert merging.slow.averaged == 4
    with pytest.raises(ValueError, match="number of iterations is known"):
        trained(slow=TailAverage(0.5), iterator=True)
