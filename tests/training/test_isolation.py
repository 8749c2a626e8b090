"""Side passes leave no trace."""

import random
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from avalanche_aim.training.isolation import RandomStream, eval_mode, kept_buffers, set_mode, stream_seed

CPU = torch.device("cpu")


def global_streams():
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()


def draw():
    return torch.rand(2).tolist(), np.random.rand(2).tolist(), random.random()


def network():
    return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4)))


# Random streams


def test_the_global_streams_of_torch_numpy_and_python_stay_where_they_were():
    before = global_streams()
    with RandomStream(1).on(CPU):
        draw()
    assert global_streams() == before


def test_the_second_of_two_normal_numbers_still_comes_from_the_global_stream():
    np.random.seed(1)
    pair = np.random.normal(size=2).tolist()
    np.random.seed(1)
    first = np.random.normal()
    with RandomStream(1).on(CPU):
        np.random.normal()
    assert [first, np.random.normal()] == pair


def test_the_global_streams_stay_where_they_were_after_an_error():
    before = global_streams()
    with pytest.raises(RuntimeError), RandomStream(1).on(CPU):
        draw()
        raise RuntimeError
    assert global_streams() == before


def test_a_stream_goes_on_where_it_ended():
    stream, whole = RandomStream(1), RandomStream(1)
    parts = []
    for _ in range(3):
        with stream.on(CPU):
            parts.append(draw())
        draw()  # the global streams move in between
    with whole.on(CPU):
        assert [draw() for _ in range(3)] == parts
    assert parts[0] != parts[1]


def test_a_stream_goes_on_where_an_error_interrupted_it():
    stream, whole = RandomStream(1), RandomStream(1)
    with pytest.raises(RuntimeError), stream.on(CPU):
        draw()
        raise RuntimeError
    with whole.on(CPU):
        draw()
        second = draw()
    with stream.on(CPU):
        assert draw() == second


def test_a_stream_depends_on_its_seed_alone():
    drawn = []
    for seed, outer in [(1, 0), (1, 99), (2, 0)]:
        torch.manual_seed(outer), np.random.seed(outer), random.seed(outer)
        with RandomStream(seed).on(CPU):
            drawn.append(draw())
    assert drawn[0] == drawn[1]
    assert all(a != b for a, b in zip(drawn[0], drawn[2], strict=True))


@pytest.mark.parametrize("seed", [0, 2**32, 2**40 + 7])
def test_any_seed_serves_all_three_libraries(seed):
    with RandomStream(seed).on(CPU):
        first = draw()
    with RandomStream(seed).on(CPU):
        assert draw() == first


# Modes


@pytest.mark.parametrize("place", [-1, 625, 10**6])
def test_a_state_that_numpy_would_read_beyond_is_refused_and_changes_nothing(place):
    stream, other = RandomStream(1), RandomStream(2)
    with other.on(CPU):
        draw()
    state = other.state_dict()
    before = global_streams()
    with pytest.raises(ValueError, match="expected NumPy's place in a state of 624 numbers"):
        stream.load_state_dict({**state, "numpy": (*state["numpy"][:2], place, 0, 0.0)})
    assert global_streams() == before
    assert stream.state_dict() == {}


@pytest.mark.parametrize("name", ["torch", "numpy", "python"])
def test_what_is_no_state_is_refused_when_it_is_given(name):
    stream = RandomStream(1)
    with stream.on(CPU):
        draw()
    before = global_streams()
    with pytest.raises((TypeError, ValueError)):
        stream.load_state_dict({**stream.state_dict(), name: "no state"})
    assert global_streams() == before


@pytest.mark.parametrize("mixed", [(), (1,), (2,), (2, 0), (1, 3)])
def test_every_module_gets_its_own_mode_back(mixed):
    model = network()
    modules = list(model.modules())
    for index in mixed:
        modules[index].training = False
    modes = [m.training for m in modules]
    with eval_mode(model):
        assert not any(m.training for m in modules)
    assert [m.training for m in modules] == modes


def test_modules_that_were_added_later_are_switched_as_well():
    model = network()
    with eval_mode(model):
        pass
    model.append(nn.Dropout())
    with eval_mode(model):
        assert not model[-1].training
    assert model[-1].training


def test_modules_that_do_more_than_keep_a_flag_are_switched_by_their_own_method():
    class Noting(nn.Module):
        switched: ClassVar[list[bool]] = []

        def train(self, mode=True):
            self.switched.append(mode)
            return super().train(mode)

    with eval_mode(nn.Sequential(Noting())):
        pass
    assert Noting.switched == [False, True]


@pytest.mark.parametrize("order", [1, -1])
def test_a_module_that_another_with_its_own_method_has_too_gets_its_mode_back(order):
    class Own(nn.Sequential):
        def train(self, mode=True):
            return super().train(mode)

    shared = nn.Dropout()
    model = nn.Sequential(*[shared, Own(shared)][::order])
    with eval_mode(model):
        assert not any(m.training for m in model.modules())
    assert all(m.training for m in model.modules())


@pytest.mark.parametrize("training", [True, False])
def test_modes_are_those_that_the_models_own_methods_would_set(training):
    model = network().train(not training)
    set_mode(model, training)
    assert {module.training for module in model.modules()} == {training}


def test_modes_come_back_after_an_error():
    model = network()
    with pytest.raises(RuntimeError), eval_mode(model):
        raise RuntimeError
    assert all(m.training for m in model.modules())


# Buffers


def test_batch_norm_statistics_are_put_back():
    model = network()
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with kept_buffers(model):
        model(torch.randn(8, 4) + 5)
        assert not torch.equal(model[1].running_mean, before["1.running_mean"])
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())


def test_buffers_are_put_back_after_an_error():
    model = network()
    with pytest.raises(RuntimeError), kept_buffers(model):
        model(torch.randn(8, 4))
        raise RuntimeError
    assert int(model[1].num_batches_tracked) == 0


def test_a_buffer_that_a_pass_replaces_by_a_new_tensor_is_put_back():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("seen", torch.zeros(()))

        def forward(self, x):
            self.seen = self.seen + len(x)  # not in place: the module now holds another tensor
            return x

    model = Counter()
    with kept_buffers(model):
        model(torch.ones(5, 1))
    assert float(model.seen) == 0


def test_weights_keep_what_a_pass_did_to_them():
    model = network()
    with kept_buffers(model), torch.no_grad():
        model[0].weight.fill_(7.0)
    assert torch.equal(model[0].weight, torch.full((4, 4), 7.0))


# Seeds


def test_the_streams_of_neighbouring_seeds_and_of_other_names_have_nothing_in_common():
    seeds = {stream_seed(seed, name) for seed in range(200) for name in ("rows", "noise", "row", "s")}
    assert len(seeds) == 800


def test_a_streams_seed_depends_on_its_own_seed_and_name_alone():
    assert stream_seed(7, "rows") == stream_seed(7, "rows")


@pytest.mark.parametrize("seed", [-1, 1.0, "1", True, None])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(ValueError, match="seed: expected a whole number of 0 or more"):
        stream_seed(seed, "rows")
