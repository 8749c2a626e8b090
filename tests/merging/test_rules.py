"""How task vectors become weights."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avalanche_aim.merging import Dare, TaskVector, Ties, interpolate, merge_

NUMBER = st.floats(-100, 100, width=32)
VECTORS = st.lists(st.tuples(NUMBER, NUMBER, NUMBER), min_size=1, max_size=12)
HALF = [(0.5, 0.5)]


def rows(*columns):
    return [[torch.tensor(column, dtype=torch.float32)] for column in columns]


def merged(rule, previous, new, past, pair=(0.5, 0.5)):
    (result,) = rule(*rows(previous, new, past), [pair])
    return result.tolist()


def random_vectors(seed=0, size=1000):
    return torch.randn(3, size, generator=torch.Generator().manual_seed(seed)).tolist()


# Interpolate


def test_interpolation_is_the_weighted_sum_of_the_task_vectors():
    assert merged(interpolate, [1.0, 2.0], [4.0, 0.0], [0.0, -8.0], (0.5, 0.25)) == [3.0, 0.0]


def test_each_weight_has_coefficients_of_its_own():
    vectors = ([torch.zeros(1)] * 2, [torch.ones(1)] * 2, [torch.full((1,), 2.0)] * 2)
    assert [float(t) for t in interpolate(*vectors, [(1.0, 0.0), (0.0, 1.0)])] == [1.0, 2.0]


@given(VECTORS)
def test_all_of_the_new_and_none_of_the_past_is_what_was_trained_to_the_bit(triples):
    previous, trained, _ = (list(column) for column in zip(*triples, strict=True))
    start, end = rows(previous, trained)
    (result,) = interpolate(start, TaskVector(start, end), TaskVector(end, end), [(1.0, 0.0)])
    assert torch.equal(result, end[0])


# TIES


def test_ties_trims_elects_and_merges_what_agrees():
    # Of six numbers the three of largest magnitude stay: new 9, -6, 5 and past 8, 7, -4.
    new, past = [9.0, -6.0, 5.0, 1.0, 0.0, 0.5], [8.0, 7.0, 0.5, 1.0, -4.0, 0.0]
    # Both agree; the past outweighs the new; the new alone; all trimmed; the past alone.
    assert merged(Ties(density=0.5), [0.0] * 6, new, past) == [8.5, 7.0, 5.0, 0.0, -4.0, 0.0]


def test_the_coefficients_weigh_election_and_mean():
    assert merged(Ties(density=1.0), [0.0, 0.0], [6.0, -6.0], [3.0, 7.0], (0.75, 0.25)) == [5.25, -6.0]


def test_the_merged_vector_is_scaled_and_added_to_the_previous_weights():
    assert merged(Ties(density=1.0, scale=0.5), [10.0], [4.0], [4.0]) == [12.0]


def test_trimming_goes_over_all_weights_together():
    new = [torch.tensor([1.0, 2.0]), torch.tensor([30.0, 40.0])]
    zero = [torch.zeros(2), torch.zeros(2)]
    first, second = Ties(density=0.5)(zero, new, zero, HALF * 2)
    assert (first.tolist(), second.tolist()) == ([0.0, 0.0], [30.0, 40.0])


@given(VECTORS, st.floats(0.05, 1.0))
def test_no_weight_moves_further_than_the_longer_of_its_task_vectors(triples, density):
    previous, new, past = (list(column) for column in zip(*triples, strict=True))
    result = merged(Ties(density), [0.0] * len(previous), new, past)
    assert all(abs(r) <= max(abs(n), abs(p)) * (1 + 1e-6) for r, n, p in zip(result, new, past, strict=True))


def test_coefficients_of_zero_change_nothing():
    assert merged(Ties(density=1.0), [1.0, 2.0], [4.0, -4.0], [3.0, 3.0], (0.0, 0.0)) == [1.0, 2.0]


@pytest.mark.parametrize("density", [0.0, -0.1, 1.5])
def test_a_density_outside_its_range_is_refused(density):
    with pytest.raises(ValueError, match=r"density: expected a share in \(0, 1\]"):
        Ties(density)


# DARE


def test_without_drops_it_is_the_weighted_sum():
    previous, new, past = random_vectors()
    expected = torch.tensor(previous) + 0.6 * torch.tensor(new) + 0.4 * torch.tensor(past)
    torch.testing.assert_close(torch.tensor(merged(Dare(0.0), previous, new, past, (0.6, 0.4))), expected)


def test_what_stays_is_rescaled_and_the_rest_is_dropped():
    moved = merged(Dare(0.75), [0.0] * 4000, [1.0] * 4000, [0.0] * 4000, (1.0, 0.0))
    assert set(moved) == {0.0, 4.0}
    assert sum(moved) / 4000 == pytest.approx(1.0, abs=0.1)


def test_the_two_vectors_are_dropped_independently():
    moved = merged(Dare(0.5), [0.0] * 4000, [1.0] * 4000, [10.0] * 4000, (1.0, 1.0))
    assert set(moved) == {0.0, 2.0, 20.0, 22.0}


def test_the_choice_depends_on_the_seed_and_the_merge_alone():
    def choices(seed):
        rule = Dare(0.5, seed)
        torch.manual_seed(seed + 1)
        return [merged(rule, *random_vectors()) for _ in range(2)]

    before = torch.get_rng_state()
    assert choices(0) == choices(0) and choices(0) != choices(1)
    first, second = choices(0)
    assert first != second
    torch.set_rng_state(before)
    merged(Dare(), *random_vectors())
    assert torch.equal(torch.get_rng_state(), before)


def test_a_restored_rule_goes_on_identically():
    rule, restored = Dare(0.5, 3), Dare(0.5, 4)
    merged(rule, *random_vectors())
    restored.load_state_dict(rule.state_dict())
    assert merged(rule, *random_vectors(1)) == merged(restored, *random_vectors(1))


@pytest.mark.parametrize("drop", [-0.1, 1.0])
def test_a_probability_outside_its_range_is_refused(drop):
    with pytest.raises(ValueError, match=r"drop: expected a probability in \[0, 1\)"):
        Dare(drop)


# Rules of one's own


def test_a_rule_may_return_a_list():
    weights, previous, trained = rows([4.0], [1.0], [3.0])
    merge_(weights, previous, trained, HALF, lambda prev, new, past, pairs: [p + n for p, n in zip(prev, new)])  # noqa: B905
    assert weights[0].tolist() == [3.0]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda *_: [], "expected 1 merged tensors, one for each weight, got 0"),
        (lambda *_: [torch.zeros(3)], r"expected a tensor of shape \(1,\), got \(3,\)"),
    ],
)
def test_a_rule_that_gives_something_else_is_refused(rule, message):
    weights, previous, trained = rows([4.0], [1.0], [3.0])
    with pytest.raises(ValueError, match=message):
        merge_(weights, previous, trained, HALF, rule)
