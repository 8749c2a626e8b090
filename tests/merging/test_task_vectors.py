"""Task vectors and the in-place merge."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avalanche_aim.merging import interpolate, kept_share, merge_, movement, restore_, snapshot


def interpolate_(weights, previous, trained, alpha_new, alpha_past):
    merge_(weights, previous, trained, [(alpha_new, alpha_past)] * len(weights), interpolate)


NUMBER = st.floats(-1e3, 1e3, width=32)
TRIPLES = st.lists(st.tuples(NUMBER, NUMBER, NUMBER), min_size=1, max_size=8)  # θ_prev, θ_j, θ_mem of each weight
ALPHA = st.floats(0, 1)
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def tensors(triples, dtype=torch.float32):
    """Return θ_prev, θ_j and θ_mem, each as a list of two tensors."""
    columns = torch.tensor(triples, dtype=dtype).T
    return [[column.clone(), column.flip(0).reshape(1, -1).clone()] for column in columns]


@given(TRIPLES)
def test_weights_one_and_zero_without_memory_steps_change_nothing(triples):
    previous, trained, _ = tensors(triples)
    weights = snapshot(trained)
    interpolate_(weights, previous, trained, 1.0, 0.0)
    assert all(torch.equal(w, t) for w, t in zip(weights, trained, strict=True))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_weights_one_and_zero_change_nothing_in_any_precision(dtype):
    previous, trained = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
    weight = trained.clone()
    interpolate_([weight], [previous], [trained], 1.0, 0.0)
    assert torch.equal(weight, trained)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_merge_is_as_precise_as_the_weights(dtype):
    start, new, past = torch.randn(3, 1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    previous, trained, weight = (t.to(dtype) for t in (start, start + 0.1 * new, start + 0.1 * new + 0.1 * past))
    exact = previous.double() + 0.6 * (trained.double() - previous.double())
    exact += 0.4 * (weight.double() - trained.double())
    interpolate_([weight], [previous], [trained], 0.6, 0.4)
    torch.testing.assert_close(weight.double(), exact, rtol=2 * torch.finfo(dtype).eps, atol=4 * torch.finfo(dtype).eps)


@given(TRIPLES, ALPHA, ALPHA)
def test_the_merge_is_previous_plus_the_weighted_task_vectors(triples, alpha_new, alpha_past):
    previous, trained, memory = tensors(triples)
    weights = snapshot(memory)
    interpolate_(weights, previous, trained, alpha_new, alpha_past)
    for w, p, t, m in zip(weights, previous, trained, memory, strict=True):
        torch.testing.assert_close(w, p + alpha_new * (t - p) + alpha_past * (m - t), rtol=1e-5, atol=1e-3)


@given(TRIPLES)
def test_weights_zero_and_zero_go_back_to_the_previous_merge(triples):
    previous, trained, memory = tensors(triples)
    interpolate_(memory, previous, trained, 0.0, 0.0)
    for w, p in zip(memory, previous, strict=True):
        torch.testing.assert_close(w, p, rtol=1e-6, atol=1e-3)


def test_bfloat16_weights_keep_small_task_vectors_that_their_own_arithmetic_loses():
    generator = torch.Generator().manual_seed(0)
    start, new, past = torch.randn(3, 20_000, generator=generator)
    previous = start.bfloat16()
    trained = (previous.float() + 0.02 * new).bfloat16()
    weight = (trained.float() + 0.02 * past).bfloat16()
    exact = previous.double() + 0.6 * (trained.double() - previous.double())
    exact += 0.4 * (weight.double() - trained.double())
    naive = previous + 0.6 * (trained - previous) + 0.4 * (weight - trained)
    assert naive.dtype == torch.bfloat16

    interpolate_([weight], [previous], [trained], 0.6, 0.4)
    error, naive_error = ((t.double() - exact).abs().sum() for t in (weight, naive))
    assert weight.dtype == torch.bfloat16
    assert error < 0.9 * naive_error
    unavoidable = (exact.bfloat16().double() - exact).abs().sum()  # of writing the result in bfloat16 at all
    assert error <= 1.001 * unavoidable


def test_the_merge_writes_in_place_and_nowhere_else():
    storage = torch.arange(6.0)
    weight = storage[2:4]
    previous, trained = torch.zeros(2), torch.tensor([1.0, 1.0])
    interpolate_([weight], [previous], [trained], 0.5, 0.5)
    assert storage.tolist() == [0.0, 1.0, 1.0, 1.5, 4.0, 5.0]
    assert (previous.tolist(), trained.tolist()) == ([0.0, 0.0], [1.0, 1.0])


def test_the_merge_of_parameters_leaves_no_gradient_history():
    parameter = torch.nn.Parameter(torch.ones(3))
    interpolate_([parameter], [torch.zeros(3)], [torch.ones(3)], 0.5, 0.5)
    assert parameter.is_leaf
    assert parameter.requires_grad
    assert parameter.tolist() == [0.5] * 3


@given(TRIPLES)
def test_the_movement_is_the_l1_length_over_all_tensors(triples):
    previous, trained, _ = tensors(triples)
    expected = 2 * sum(abs(t - p) for p, t, _ in triples)  # every weight stands in both tensors
    assert movement(trained, previous) == pytest.approx(expected, rel=1e-4, abs=1e-3)


def test_the_movement_is_a_python_float():
    assert type(movement([torch.ones(2, requires_grad=True)], [torch.zeros(2)])) is float


def test_the_movement_of_bfloat16_weights_is_summed_in_single_precision():
    # bfloat16 itself holds 1000 and 1008, nothing in between.
    assert movement([torch.ones(1001, dtype=torch.bfloat16)], [torch.zeros(1001, dtype=torch.bfloat16)]) == 1001


def kept(previous, trained, merged):
    """Return the share of τ_new kept in weights given as plain numbers."""
    return kept_share(*([torch.tensor(values)] for values in (merged, previous, trained)))


@pytest.mark.parametrize("share", [-0.5, 0.0, 0.3, 1.0, 1.5])
def test_the_share_kept_is_how_far_the_merge_went_along_the_new_task(share):
    assert kept([1.0, 2.0], [3.0, 2.0], [1.0 + 2.0 * share, 2.0]) == pytest.approx(share)


def test_movement_across_the_new_task_keeps_nothing_of_it():
    assert kept([0.0, 0.0], [1.0, 0.0], [0.0, 9.0]) == 0.0


def test_the_share_kept_is_taken_over_all_tensors_together():
    previous, trained = [torch.zeros(1), torch.zeros(1, 2)], [torch.ones(1), torch.full((1, 2), 2.0)]
    merged = [torch.zeros(1), torch.full((1, 2), 1.0)]
    assert kept_share(merged, previous, trained) == pytest.approx(4 / 9)  # (0·1 + 1·2 + 1·2) / (1 + 4 + 4)


def test_the_share_kept_is_the_weight_of_the_new_and_what_the_past_adds_along_it():
    previous, trained, memory = torch.tensor([[0.0, 0.0], [1.0, 1.0], [-1.0, 2.0]])
    weight = memory.clone()  # τ_new = (1, 1), τ_past = (−2, 1): −1 along two
    interpolate_([weight], [previous], [trained], 0.6, 0.4)
    assert kept_share([weight], [previous], [trained]) == pytest.approx(0.6 + 0.4 * -1 / 2)


def test_where_nothing_had_moved_no_share_was_kept_or_lost():
    assert kept([1.0], [1.0], [1.0]) is None


def test_the_share_kept_is_a_python_float_of_parameters_and_leaves_all_weights_alone():
    weights = [torch.nn.Parameter(torch.tensor([2.0]))]
    previous, trained = [torch.tensor([1.0])], [torch.tensor([5.0])]
    assert type(kept_share(weights, previous, trained)) is float
    assert (weights[0].item(), previous[0].item(), trained[0].item()) == (2.0, 1.0, 5.0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_share_kept_is_precise_in_any_precision(dtype):
    generator = torch.Generator().manual_seed(0)
    previous = torch.randn(20_000, generator=generator).to(dtype)
    trained = (previous.float() + 0.02 * torch.randn(20_000, generator=generator)).to(dtype)
    assert kept_share([trained.clone()], [previous], [trained]) == pytest.approx(1, abs=1e-5)


def test_a_snapshot_is_independent_of_the_weights():
    weight = torch.ones(3, requires_grad=True)
    saved = snapshot([weight])
    with torch.no_grad():
        weight.add_(1)
    assert saved[0].tolist() == [1.0] * 3
    assert not saved[0].requires_grad


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_restoring_a_snapshot_brings_the_weights_back_in_place(dtype):
    weights = [torch.nn.Parameter(torch.randn(5).to(dtype)), torch.nn.Parameter(torch.randn(2, 3).to(dtype))]
    before, pointers = snapshot(weights), [w.data_ptr() for w in weights]
    with torch.no_grad():
        for w in weights:
            w.mul_(3)
    restore_(weights, before)
    assert all(torch.equal(w, b) for w, b in zip(weights, before, strict=True))
    assert [w.data_ptr() for w in weights] == pointers


@pytest.mark.parametrize("call", [lambda a, b: movement(a, b), lambda a, b: interpolate_(a, b, a, 0.5, 0.5)])
def test_lists_of_different_lengths_are_refused(call):
    with pytest.raises(ValueError, match="expected as many tensors before as after, got 1 and 2"):
        call([torch.ones(1), torch.ones(1)], [torch.ones(1)])
