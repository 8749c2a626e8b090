"""Slow weights: averages that are only evaluated."""

import pytest
import torch

from avalanche_aim.merging import ExponentialAverage, TailAverage


def weights(*values):
    return {f"w{number}": torch.tensor([float(value)]) for number, value in enumerate(values)}


def values(named):
    return [float(tensor) for tensor in named.values()]


def run(slow, *path, iterations=None):
    """Let one weight take the values of the path, the first before training; return it."""
    now = weights(path[0])
    slow.start(now)
    for iteration, value in enumerate(path[1:], start=1):
        now["w0"].fill_(value)
        slow.update(now, iteration, iterations)
    return now


def test_the_exponential_average_follows_slowly_from_the_first_weights_on():
    slow = ExponentialAverage(0.5)
    run(slow, 0, 4, 4)
    assert values(slow.average) == [3.0]


def test_the_exponential_average_goes_on_from_experience_to_experience():
    slow = ExponentialAverage(0.5)
    now = run(slow, 0, 4)
    slow.start(now)
    slow.update(now, 1, None)
    assert values(slow.average) == [3.0]


def test_the_tail_average_is_the_mean_of_the_last_share():
    slow = TailAverage(0.5)
    run(slow, 0, 1, 2, 3, 5, iterations=4)
    assert (values(slow.average), slow.averaged) == ([4.0], 2)


def test_before_the_tail_the_training_weights_are_evaluated():
    slow = TailAverage(0.25)
    now = run(slow, 0, 1, 2, iterations=4)
    slow.swap(now, True)
    assert values(now) == [2.0]


def test_the_tail_average_begins_anew_in_each_experience():
    slow = TailAverage(1.0)
    now = run(slow, 0, 2, iterations=1)
    slow.start(now)
    now["w0"].fill_(6.0)
    slow.update(now, 1, 1)
    assert values(slow.average) == [6.0]


def test_a_tail_of_unknown_length_is_refused():
    with pytest.raises(ValueError, match="TailAverage: expected an experience whose number of iterations is known"):
        run(TailAverage(), 0, 1)


def test_swapping_twice_gives_everything_back():
    slow = ExponentialAverage(0.5)
    now = run(slow, 0, 4)
    slow.swap(now, True)
    assert (values(now), values(slow.average)) == ([2.0], [4.0])
    slow.swap(now, True)  # already there
    slow.swap(now, False)
    assert (values(now), values(slow.average)) == ([4.0], [2.0])


def test_an_evaluation_that_broke_off_is_put_right_when_training_begins():
    slow = ExponentialAverage(0.5)
    now = run(slow, 0, 4)
    slow.swap(now, True)
    slow.start(now)
    assert values(now) == [4.0]


def test_weights_that_have_grown_or_are_new_are_taken_as_they_are():
    slow = ExponentialAverage(0.5)
    slow.start(weights(1, 1))
    grown = {"w0": torch.tensor([5.0, 6.0]), "w1": torch.tensor([3.0]), "w2": torch.tensor([7.0])}
    slow.start(grown)
    assert [average.tolist() for average in slow.average.values()] == [[5.0, 6.0], [1.0], [7.0]]


@pytest.mark.parametrize("make", [lambda: ExponentialAverage(0.5), lambda: TailAverage(1.0)])
def test_a_restored_average_goes_on_identically(make):
    slow, restored = make(), make()
    now = run(slow, 0, 4, iterations=3)
    restored.load_state_dict(slow.state_dict())
    for one in (slow, restored):
        one.average = {name: average.clone() for name, average in one.average.items()}
        one.update(now, 2, 3)
    assert values(slow.average) == values(restored.average)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ExponentialAverage(1.0), r"decay: expected a number in \[0, 1\)"),
        (lambda: TailAverage(0.0), r"share: expected a share in \(0, 1\]"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
