"""How straight the way between two merges was, by hand."""

import pytest
import torch
from torch import nn

from avalanche_aim.merging import (
    PRESETS,
    Diagnosis,
    FixedInterval,
    FixedWeights,
    IterativeMerging,
    ModelTime,
    Recorder,
    StraightWeights,
    interpolate,
)
from avalanche_aim.merging.task_vectors import straightness
from avalanche_aim.training.plain_loop import PlainLoop


class Steps(nn.Module):
    """Moves its two weights against the batch: the loss is w · x, so a step of SGD is −x."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        return x @ self.w


def merged(steps, **parts):
    """Train on steps, in a task after the first, and return the merges and the weights at the end."""
    model = Steps()
    controller = PRESETS["straight"].controller(**{"schedule": FixedInterval(4), "rehearsal": {"ratio": 0.0}, **parts})
    merging = IterativeMerging(controller, interpolate, None, None, Recorder(Diagnosis()))
    loop = PlainLoop(model, torch.optim.SGD(model.parameters(), lr=1.0), lambda out, _: out.mean(), 1)
    for number, moves in enumerate([[(0.0, 0.0)], steps]):
        loop.train(merging, [(-torch.tensor([step]), torch.zeros(1)) for step in moves], number)
    return merging.recorder.history.merges, model.w.tolist()


@pytest.mark.parametrize(
    ("second", "cosine"),
    [((1.0, 0.0), 1.0), ((0.6, 0.8), 0.6), ((0.0, 1.0), 0.0), ((-1.0, 0.0), 0.0)],
)
def test_the_second_half_is_compared_with_the_first(second, cosine):
    (merge,), weights = merged([(1.0, 0.0)] * 2 + [second] * 2)
    alpha = (1 + cosine**2) / 2
    assert merge.alpha_new == merge.alpha_past == pytest.approx(alpha)
    assert weights == pytest.approx([alpha * (2 + 2 * second[0]), alpha * 2 * second[1]])


def test_each_interval_has_a_half_of_its_own():
    east, north = (1.0, 0.0), (0.0, 1.0)
    merges, _ = merged([east, east, north, north, *[north] * 4])
    assert [merge.alpha_new for merge in merges] == pytest.approx([0.5, 1.0])


def test_thirds_of_a_task_have_halves_too():
    east, north = (1.0, 0.0), (0.0, 1.0)
    merges, _ = merged([east] * 6 + [east] * 3 + [north] * 3 + [north] * 6, schedule={"name": "shares", "merges": 3})
    assert [(merge.iteration, merge.alpha_new) for merge in merges] == [(6, 1.0), (12, 0.5), (18, 1.0)]


def test_an_interval_that_ended_in_its_first_half_is_not_straight():
    assert straightness([torch.zeros(2)], [], [torch.ones(2)]) == 0


def test_nothing_is_kept_unless_a_part_asks_for_it():
    controller = PRESETS["straight"].controller(weights=FixedWeights(), rehearsal={"per": "passed"})
    merging = IterativeMerging(controller, interpolate, None, None, Recorder(Diagnosis()))
    model = Steps()
    loop = PlainLoop(model, torch.optim.SGD(model.parameters(), lr=1.0), lambda out, _: out.mean(), 1)
    halves = []
    after_iteration = merging.after_iteration

    def noted(engine):
        after_iteration(engine)
        halves.append(merging.state_dict()["half"])

    merging.after_iteration = noted
    for number in range(2):
        loop.train(merging, [(torch.ones(1, 2), torch.zeros(1))] * 6, number)
    assert halves == [[]] * 12


@pytest.mark.parametrize("parts", [{"weights": StraightWeights()}, {"rehearsal": {"per": "straight"}}])
def test_a_schedule_that_does_not_know_its_interval_is_refused(parts):
    with pytest.raises(ValueError, match=r"straightness: expected a schedule that knows its interval.*got ModelTime"):
        PRESETS["settled"].controller(schedule=ModelTime(), **parts)
