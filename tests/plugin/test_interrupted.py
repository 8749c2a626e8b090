"""Ctrl-C, errors in examples and memory that runs out, in the middle of the plugin's work."""

import warnings

import pytest
import torch
from avalanche.training.plugins import SupervisedPlugin
from plugin_runs import ITERATIONS, MEMORY_BATCH, everything, merging, state_of
from torch import nn
from torch.nn import functional

from avalanche_aim import GradientStep
from avalanche_aim.merging import FixedInterval, fusion
from avalanche_aim.training.out_of_memory import halving, is_out_of_memory


class Remember(SupervisedPlugin):
    """Keeps the strategy and what it is before the plugin behind it works."""

    def before_training_exp(self, strategy, **kwargs):
        self.strategy = strategy

    def after_training_iteration(self, strategy, **kwargs):
        self.before = {
            "batch": (strategy.mbatch, strategy.mb_output, strategy.loss),
            "state": strategy.optimizer.state,
            "gradients": [p.grad.clone() for p in strategy.model.parameters()],
        } | everything(strategy)
        self.before.pop("optimizer")


def check(seen, same):
    """All is as before the interrupted work: weights, buffers, modes, random streams, gradients, batch."""
    now, before = everything(seen.strategy), dict(seen.before)
    now.pop("optimizer")
    batch, state, gradients = (before.pop(key) for key in ("batch", "state", "gradients"))
    assert same(now, before)
    strategy = seen.strategy
    assert all(a is b for a, b in zip((strategy.mbatch, strategy.mb_output, strategy.loss), batch, strict=True))
    assert strategy.optimizer.state is state
    assert same([p.grad for p in strategy.model.parameters()], gradients)


def interrupt():
    raise KeyboardInterrupt


class AtMemory:
    """Cross entropy that does something at the n-th memory batch with gradient, or without."""

    def __init__(self, call, gradient, action):
        self.left, self.gradient, self.action = call, gradient, action

    def __call__(self, output, target):
        if len(target) == MEMORY_BATCH and torch.is_grad_enabled() == self.gradient:
            self.left -= 1
            if self.left == 0:
                self.action()
        return functional.cross_entropy(output, target)


def fail():
    raise ValueError("broken")


@pytest.mark.parametrize(("action", "error"), [(interrupt, KeyboardInterrupt), (fail, ValueError)])
@pytest.mark.parametrize(("call", "gradient"), [(4, False), (1, True), (3, True)])
@pytest.mark.parametrize("kind", ["shared", "own"])
def test_an_end_in_the_middle_of_the_plugin_s_work_leaves_all_as_before_it(
    train, call, gradient, action, error, kind, same
):
    seen = Remember()
    plugin = merging(rehearsal={"batch_size": MEMORY_BATCH, "optimizer": kind})
    with pytest.raises(error):
        train(seen, plugin, criterion=AtMemory(call, gradient, action))
    check(seen, same)
    assert plugin.history.merges == []


@pytest.mark.parametrize("tensor", [0, 2])
def test_an_interrupt_while_weights_are_written_leaves_those_before_the_merge(train, tensor, same, monkeypatch):
    def half(weights, *others):
        with torch.no_grad():
            for weight in weights[: tensor + 1]:
                weight.zero_()
        interrupt()

    monkeypatch.setattr(fusion, "merge_", half)
    seen = Remember()
    with pytest.raises(KeyboardInterrupt):
        train(seen, merging())
    check(seen, same)


def test_training_goes_on_after_an_interrupted_merge(train, three_tasks):
    seen = Remember()
    plugin = merging(rehearsal={"batch_size": MEMORY_BATCH})
    with pytest.raises(KeyboardInterrupt):
        train(seen, plugin, criterion=AtMemory(3, True, interrupt))
    seen.strategy.train(three_tasks.train_stream[1])
    assert [merge.iteration for merge in plugin.history.merges] == [4, 8, 12]
    assert len(plugin.memory.selected) == 2


# Examples that cannot be loaded


def test_an_error_in_a_remembered_example_says_which_one(train, three_tasks, same):
    plugin, seen = merging(), Remember()

    class Broken(SupervisedPlugin):
        def before_training_exp(self, strategy, **kwargs):
            buffer = plugin.memory
            if strategy.experience.current_experience == 2:
                numbers = [buffer.buffer[i] for i in range(len(buffer))]

                class Buffer(list):
                    def __getitem__(self, number):
                        if number == len(buffer.selected[0]) + 2:
                            raise KeyError("no such file")
                        return super().__getitem__(number)

                buffer.buffer = Buffer(numbers)

    with pytest.raises(KeyError, match="no such file") as raised:
        train(Broken(), seen, plugin)
    row = plugin.memory.selected[1][2]
    assert raised.value.__notes__ == [f"while loading row {row} of past experience 1 from the memory"]
    check(seen, same)


# Memory that runs out


class Limited(nn.Module):
    """A network that has memory for so many rows at a time, once it is told to have any."""

    def __init__(self, out_of_memory=lambda: torch.OutOfMemoryError("CUDA out of memory")):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 6))
        self.most = {True: 99, False: 99}
        self.refused = []
        self.error = out_of_memory

    def forward(self, x):
        if len(x) > self.most[torch.is_grad_enabled()]:
            self.refused.append(len(x))
            raise self.error()
        return self.layers(x)


class Limit(SupervisedPlugin):
    """Leaves memory for so many rows in passes with and without gradient, outside training's own batches."""

    def __init__(self, fits, monitored=99):
        super().__init__()
        self.fits = {True: fits, False: monitored}

    def after_update(self, strategy, **kwargs):
        strategy.model.most = dict(self.fits)

    def before_training_iteration(self, strategy, **kwargs):
        strategy.model.most = {True: 99, False: 99}


def limited_run(train, limit, model=Limited, steps=()):
    plugin = merging(FixedInterval(6), rehearsal={"batch_size": 8})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        strategy = train(*steps, limit, plugin, model=model)
    return plugin, strategy, [str(w.message) for w in caught if "memory ran out" in str(w.message)]


@pytest.mark.parametrize(
    "error",
    [
        lambda: torch.OutOfMemoryError("CUDA out of memory"),
        lambda: RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        MemoryError,
    ],
)
def test_memory_batches_pass_in_halves_with_the_same_gradient(train, error):
    plain, whole, _ = limited_run(train, Limit(99))
    plugin, halved, said = limited_run(train, Limit(3), model=lambda: Limited(error))
    assert halved.model.refused == [8, 4]  # remembered from then on
    assert said == ["AIMMerging: memory ran out; from now on memory batches pass through the model in micro-batches of "
                    "2 examples"]  # fmt: skip
    for a, b in zip(halved.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    assert [m.elapsed for m in plugin.history.merges] == [m.elapsed for m in plain.history.merges]


def test_micro_batches_that_are_set_are_where_halving_begins(train):
    _, strategy, said = limited_run(train, Limit(1), steps=[GradientStep(4)])
    assert strategy.model.refused == [4, 2]
    assert "micro-batches of 1 examples" in said[0]


def test_the_historical_loss_is_taken_of_half_the_batch(train):
    plugin, strategy, said = limited_run(train, Limit(99, monitored=5))
    assert strategy.model.refused == [8]
    assert said == ["AIMMerging: memory ran out; from now on the historical loss is taken of 4 examples instead of 8"]
    assert len(plugin.history.iterations) == 2 * ITERATIONS


@pytest.mark.parametrize(
    ("limit", "remedy"), [(Limit(0), "gradient_checkpointing"), (Limit(99, 0), "monitor_batch_size")]
)
def test_where_one_example_is_too_much_the_error_says_what_to_do(train, limit, remedy, same):
    seen = Remember()
    with pytest.raises(torch.OutOfMemoryError, match=f"CUDA out of memory\nNot even one example fits: .*{remedy}"):
        limited_run(train, limit, steps=[seen])
    check(seen, same)
    assert seen.strategy.model.refused == [8, 4, 2, 1]


def test_memory_that_does_not_run_out_changes_nothing(train, same):
    _, first, said = limited_run(train, Limit(99))
    _, second, _ = limited_run(train, Limit(8, 8))
    assert said == [] and same(state_of(first.model), state_of(second.model))


def test_other_errors_are_let_through_at_once():
    tried = []

    def attempt(size):
        tried.append(size)
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match=r"shapes cannot be multiplied$"):
        halving(attempt, 8, "")
    assert tried == [8]
    assert not is_out_of_memory(ValueError("can't allocate memory"))
