"""Whose optimizer state fine-tunes on the memory."""

from copy import deepcopy

import pytest
import torch

from avalanche_aim.rehearsal import MemoryFineTuning

KINDS = ["shared", "fresh", "own"]


class Training:
    """Two weights with an Adam that has trained them a little."""

    def __init__(self, make=lambda weights: torch.optim.Adam(weights, lr=0.1)):
        self.weights = [torch.nn.Parameter(torch.tensor([1.0, -2.0])), torch.nn.Parameter(torch.tensor([[3.0]]))]
        self.optimizer = make(self.weights)
        for _ in range(3):
            self.optimizer.zero_grad()
            self.loss(target=5.0).backward()
            self.optimizer.step()

    def loss(self, target=0.0):
        return sum(((w - target) ** 2).sum() for w in self.weights)

    def run(self, fine_tuning, iterations=2):
        return fine_tuning.run(self.optimizer, self.weights, self.gradients, iterations)

    def gradients(self):
        loss = self.loss()
        loss.backward()
        return loss

    def values(self):
        return [w.detach().clone() for w in self.weights]

    def put(self, values):
        with torch.no_grad():
            for w, value in zip(self.weights, values, strict=True):
                w.copy_(value)


def steps_seen(training):
    return int(training.optimizer.state[training.weights[0]]["step"])


@pytest.mark.parametrize("kind", KINDS)
def test_fine_tuning_lowers_the_memory_loss(kind):
    training = Training()
    before = training.loss().item()
    # The shared state's momentum points away from the memory at first.
    training.run(MemoryFineTuning(kind), iterations=60)
    assert training.loss().item() < before / 2


def test_shared_goes_on_with_the_training_state():
    training = Training()
    training.run(MemoryFineTuning("shared"), iterations=2)
    assert steps_seen(training) == 5


def test_shared_steps_are_those_of_the_training_optimizer(same):
    plain, tuned = Training(), Training()
    for _ in range(2):
        plain.optimizer.zero_grad()
        plain.loss().backward()
        plain.optimizer.step()
    tuned.run(MemoryFineTuning("shared"), iterations=2)
    assert same(plain.values(), tuned.values())


@pytest.mark.parametrize("kind", ["fresh", "own"])
def test_fresh_and_own_leave_the_training_state_bit_for_bit(kind, same):
    training = Training()
    before = deepcopy(training.optimizer.state_dict())
    for _ in range(2):
        training.run(MemoryFineTuning(kind))
    assert same(training.optimizer.state_dict(), before)


@pytest.mark.parametrize("kind", ["fresh", "own"])
def test_fresh_and_own_begin_with_an_empty_state(kind):
    training, start = Training(), Training().values()
    training.run(MemoryFineTuning(kind), iterations=1)
    # Adam's first step from an empty state has the length of the learning rate in every weight.
    for now, then in zip(training.values(), start, strict=True):
        torch.testing.assert_close((now - then).abs(), torch.full_like(now, 0.1), rtol=1e-4, atol=1e-5)


def second_merge(kind):
    """Fine-tune twice from the same weights and return how far each of the two runs went."""
    training, fine_tuning = Training(), MemoryFineTuning(kind)
    start, ends = training.values(), []
    for _ in range(2):
        training.put(start)
        training.run(fine_tuning, iterations=3)
        ends.append(training.values())
    return ends


def test_fresh_forgets_its_state_between_merges(same):
    first, second = second_merge("fresh")
    assert same(first, second)


def test_own_keeps_its_state_between_merges(same):
    first, second = second_merge("own")
    assert same(first, second_merge("fresh")[0])
    assert not same(second, second_merge("fresh")[1])


def test_two_objects_with_a_state_of_their_own_do_not_share_it(same):
    training, start = Training(), Training().values()
    ends = []
    for _ in range(2):
        training.put(start)
        training.run(MemoryFineTuning("own"), iterations=3)
        ends.append(training.values())
    assert same(*ends)


def test_the_current_learning_rate_of_the_training_is_used():
    training, start = Training(), Training().values()
    training.optimizer.param_groups[0]["lr"] = 0.003
    training.run(MemoryFineTuning("fresh"), iterations=1)
    torch.testing.assert_close((training.values()[0] - start[0]).abs(), torch.full((2,), 0.003), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradients_of_the_training_batch_are_put_back(kind, same):
    training = Training()
    kept = [w.grad for w in training.weights]
    values = [grad.clone() for grad in kept]
    training.run(MemoryFineTuning(kind))
    assert all(w.grad is grad for w, grad in zip(training.weights, kept, strict=True))
    assert same(kept, values)


def test_weights_without_a_gradient_have_none_afterwards():
    training = Training()
    training.optimizer.zero_grad(set_to_none=True)
    training.run(MemoryFineTuning("fresh"))
    assert [w.grad for w in training.weights] == [None, None]


@pytest.mark.parametrize("kind", KINDS)
def test_state_and_gradients_are_put_back_when_the_loss_fails(kind):
    training = Training()
    state, kept = training.optimizer.state, [w.grad for w in training.weights]

    def fail():
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        MemoryFineTuning(kind).run(training.optimizer, training.weights, fail, 1)
    assert training.optimizer.state is state
    assert all(w.grad is grad for w, grad in zip(training.weights, kept, strict=True))


def step_length(max_grad_norm):
    """Return the length of one SGD step of learning rate 1, which is the norm of the gradient it saw."""
    training = Training(lambda weights: torch.optim.SGD(weights, lr=0.0))
    training.optimizer.param_groups[0]["lr"] = 1.0
    start = training.values()
    training.run(MemoryFineTuning("fresh", max_grad_norm), iterations=1)
    moved = zip(training.values(), start, strict=True)
    return float(torch.cat([(now - then).flatten() for now, then in moved]).norm())


def test_the_gradients_are_clipped_together_at_the_norm():
    assert step_length(1.0) == pytest.approx(1.0, rel=1e-4)


def test_gradients_below_the_norm_are_left_alone():
    assert step_length(1000.0) == pytest.approx(2 * 14**0.5)  # the gradient is twice (1, -2, 3)


def test_an_infinite_norm_clips_nothing():
    assert step_length(float("inf")) == pytest.approx(2 * 14**0.5)


@pytest.mark.parametrize("rate", [0.25, torch.tensor(0.25)])
def test_a_factor_scales_the_learning_rates_of_the_memory_iterations_alone(rate):
    training = Training(lambda weights: torch.optim.SGD(weights, lr=0.0))
    training.optimizer.param_groups[0]["lr"] = rate
    start = training.values()
    training.run(MemoryFineTuning("fresh", lr_factor=0.5), iterations=1)
    for now, then in zip(training.values(), start, strict=True):
        assert torch.allclose(now, 0.75 * then)  # the gradient is twice the weight
    assert training.optimizer.param_groups[0]["lr"] is rate


def test_the_learning_rates_are_put_back_after_an_error():
    training = Training()

    def fail():
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        MemoryFineTuning("own", lr_factor=3.0).run(training.optimizer, training.weights, fail, 1)
    assert training.optimizer.param_groups[0]["lr"] == 0.1


@pytest.mark.parametrize("factor", [0.0, -1.0, float("inf"), float("nan")])
def test_a_factor_that_is_no_positive_number_is_refused(factor):
    with pytest.raises(ValueError, match="lr_factor: expected a positive multiple of the learning rate, got"):
        MemoryFineTuning("own", lr_factor=factor)


def test_the_losses_are_those_before_each_step():
    training = Training(lambda weights: torch.optim.SGD(weights, lr=0.0))
    training.optimizer.param_groups[0]["lr"] = 0.25  # halves every weight
    assert training.run(MemoryFineTuning("fresh"), iterations=3) == [14.0, 3.5, 0.875]


@pytest.mark.parametrize("kind", KINDS)
def test_no_iterations_change_nothing(kind, same):
    training = Training()
    before, state = training.values(), deepcopy(training.optimizer.state_dict())
    assert training.run(MemoryFineTuning(kind), iterations=0) == []
    assert same(training.values(), before)
    assert same(training.optimizer.state_dict(), state)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"expected one of \('shared', 'fresh', 'own'\), got 'new'"):
        MemoryFineTuning("new")


@pytest.mark.parametrize("norm", [0.0, -1.0, float("nan")])
def test_a_norm_that_is_not_positive_is_refused(norm):
    with pytest.raises(ValueError, match="max_grad_norm: expected a positive number or infinity"):
        MemoryFineTuning("own", norm)
