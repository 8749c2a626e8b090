"""A rehearsal that watches rows which it does not rehearse."""

import pytest
import torch
from torch import nn

from avalanche_aim import AIMMergingPlugin, RehearsalMemory
from avalanche_aim.merging import FixedInterval
from avalanche_aim.rehearsal import HeldOutRehearsal, Rehearsal


class Counted:
    """A memory with so many rows of each experience."""

    def __init__(self, *sizes):
        self.selected = [list(range(size)) for size in sizes]

    def __len__(self):
        return sum(map(len, self.selected))


def held_out(*sizes, **settings):
    rehearsal = HeldOutRehearsal(**settings)
    rehearsal.prepare(Counted(*sizes), 0)
    return rehearsal


def test_a_share_of_each_experience_is_held_out_and_the_rest_rehearsed():
    rehearsal = held_out(8, 4, hold_out=0.25, turn="never")
    assert rehearsal.places() == ([1, 2, 3, 5, 6, 7, 9, 10, 11], [0, 4, 8])


@pytest.mark.parametrize(("rows", "hold_out"), [(8, 0.25), (20, 0.25), (20, 0.1), (7, 0.3), (9, 0.5)])
def test_in_time_every_row_is_held_out_and_never_two_at_once_at_one_place(rows, hold_out):
    rehearsal, seen = held_out(rows, hold_out=hold_out), set()
    for _ in range(rows):
        rehearsal.start([])
        rehearsed, held = rehearsal.places()
        assert len(held) == round(hold_out * rows) and not set(rehearsed) & set(held)
        assert sorted([*rehearsed, *held]) == list(range(rows))
        seen |= set(held)
    assert seen == set(range(rows))


@pytest.mark.parametrize(("turn", "seen"), [("task", 2), ("merge", 4), ("never", 1)])
def test_the_rows_change_with_every_task_or_merge_or_never(train, turn, seen):
    plugin = AIMMergingPlugin(
        "paper", memory=8, schedule=FixedInterval(4), rehearsal={"name": "held-out", "turn": turn}
    )
    drawn, batch = [], plugin.memory.batch

    def noted(size, generator, among):
        if generator is plugin.rehearsal._rows["held out"]:
            drawn.append(tuple(row for row in among if row < 8))
        return batch(size, generator, among)

    plugin.memory.batch = noted
    train(plugin)  # two tasks with three merges each
    assert len(set(drawn)) == seen


def test_the_historical_loss_is_that_of_the_rows_that_are_held_out(train):
    plugin = AIMMergingPlugin("paper", memory=8, schedule=FixedInterval(4), rehearsal=HeldOutRehearsal(turn="never"))
    drawn, batch = {"monitored": set(), "rehearsed": set()}, plugin.memory.batch

    def noted(size, generator, among):
        drawn["monitored" if generator is plugin.rehearsal._rows["held out"] else "rehearsed"] |= set(among)
        return batch(size, generator, among)

    plugin.memory.batch = noted
    train(plugin)
    assert drawn["monitored"] == {0, 4, 8, 12}
    assert drawn["rehearsed"] == set(range(16)) - {0, 4, 8, 12}
    assert len(plugin.history.iterations) == 24


def test_a_restored_one_holds_out_the_same_rows():
    first, second = held_out(8), held_out(8)
    weight = nn.Parameter(torch.zeros(1))
    first.start([weight])
    assert first.places() != second.places()
    second.load_state_dict(first.state_dict([weight]), [weight])
    assert first.places() == second.places()


@pytest.mark.parametrize(
    ("rows", "hold_out", "message"),
    [
        (1, 0.9, "0.9 of a memory of 1 rows leaves nothing to rehearse; .*, or hold out less"),
        (2, 0.2, "0.2 of a memory of 2 rows leaves nothing to hold out; .*, or hold out more"),
    ],
)
def test_a_share_that_leaves_nothing_is_refused(rows, hold_out, message):
    with pytest.raises(ValueError, match=message):
        held_out(rows, hold_out=hold_out).start([])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hold_out": 0.0}, r"hold_out: expected a share of the memory in \(0, 1\), got 0"),
        ({"hold_out": 1.5}, "hold_out: expected a share"),
        ({"turn": "epoch"}, "turn: expected one of .*, got 'epoch'"),
    ],
)
def test_a_setting_out_of_range_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        HeldOutRehearsal(**settings)


def test_a_share_that_leaves_nothing_is_said_when_training_comes_to_it(train):
    plugin = AIMMergingPlugin("paper", memory=RehearsalMemory(1), rehearsal={"name": "held-out", "hold_out": 0.25})
    with pytest.raises(ValueError, match="leaves nothing to hold out"):
        train(plugin)


def test_a_name_takes_the_settings_of_a_plain_rehearsal_too():
    plugin = AIMMergingPlugin("paper", rehearsal={"name": "held-out", "ratio": 0.5})
    assert plugin.rehearsal.plan.ratio == 0.5
    with pytest.raises(ValueError, match=r"rehearsal: expected some of hold_out, turn, memory, ratio, .*, got turns"):
        AIMMergingPlugin("paper", rehearsal={"name": "held-out", "turns": 3})
    assert type(AIMMergingPlugin("held-out", rehearsal="memory").rehearsal) is Rehearsal
