"""How an iteration's gradients are made: in micro-batches, scaled for fp16, clipped."""

import random
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from avalanche.benchmarks import nc_benchmark
from avalanche.training import AGEM, DER, ER_ACE, EWC, GEM, LwF, Naive, SynapticIntelligence
from avalanche.training.plugins import EWCPlugin, ReplayPlugin, SupervisedPlugin
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from avalanche_aim import AIMMergingPlugin, GradientStep, LanguageModel
from avalanche_aim.merging import FixedInterval

Train = Callable[..., Any]


class Network(nn.Module):
    """A classifier that treats examples apart, in double precision so that rounding stays below what is compared."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 6)).double()
        self.sizes: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        return self.layers(x.double())


class SinglePrecision(Network):
    """The same in single precision, where a scaled loss can overflow, and which some templates need."""

    def __init__(self) -> None:
        super().__init__()
        self.float()

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Watch(SupervisedPlugin):
    """Keeps what other plugins see: the loss, the sizes of batch and output, the gradients and the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[float] = []
        self.sizes: list[tuple[int, int]] = []
        self.norms: list[float] = []
        self.clock = 0

    def before_backward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.sizes.append((len(strategy.mb_x), len(strategy.mb_output)))

    def after_update(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        gradients = [p.grad for p in strategy.model.parameters() if p.grad is not None]
        self.norms.append(float(torch.nn.utils.get_total_norm(gradients)))

    def after_backward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.losses.append(float(strategy.loss.detach()))

    def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.losses.append(float(strategy.loss.detach()))
        self.clock = strategy.clock.train_iterations + 1


def aim(preset: str) -> AIMMergingPlugin:
    return AIMMergingPlugin(preset, memory=8)


BESIDE: dict[str, Callable[[], list[Any]]] = {
    "alone": lambda: [],
    "paper": lambda: [aim("paper")],
    "reference": lambda: [aim("reference")],
    "merging often": lambda: [AIMMergingPlugin(schedule=FixedInterval(2), memory=8)],
    "ewc": lambda: [EWCPlugin(0.5)],
    "replay": lambda: [ReplayPlugin(mem_size=12)],
    "replay and aim": lambda: [ReplayPlugin(mem_size=12), aim("paper")],
    "ewc and aim": lambda: [aim("reference"), EWCPlugin(0.5)],
}


def weights(strategy: Any) -> list[Tensor]:
    return [p.detach() for p in strategy.model.parameters()]


def close(one: Any, other: Any, tolerance: float = 1e-6) -> None:
    torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


TEMPLATES = {
    "ewc": partial(EWC, ewc_lambda=0.5),
    "agem": partial(AGEM, patterns_per_exp=8, sample_size=8),
    "gem": partial(GEM, patterns_per_exp=8),
    "si": partial(SynapticIntelligence, si_lambda=1.0),
    "lwf": partial(LwF, alpha=1.0, temperature=2.0),
    "er-ace": partial(ER_ACE, mem_size=12, batch_size_mem=4),
    "der": partial(DER, mem_size=12, batch_size_mem=4),
}
EXACT = ("ewc", "agem", "gem", "si")


@pytest.fixture(scope="module")
def labelled_tasks() -> Any:
    """Six classes in three experiences with task labels, which several templates need."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(96) % 6
    data = TensorDataset(torch.randn(96, 8, generator=generator) + 3 * nn.functional.one_hot(y, 8), y)
    data.targets = y.tolist()
    return nc_benchmark(data, data, 3, False, fixed_class_order=list(range(6)))


def train_template(stream: Any, name: str, *plugins: Any) -> Any:
    """Train a strategy that comes with a plugin or a loop of its own."""
    torch.manual_seed(0)
    random.seed(0)
    model = SinglePrecision()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    criterion = nn.CrossEntropyLoss()
    strategy = TEMPLATES[name](
        model=model, optimizer=optimizer, criterion=criterion, train_mb_size=8, plugins=list(plugins)
    )
    for experience in stream.train_stream:
        strategy.train(experience)
    return strategy


def scaler(**settings: Any) -> torch.amp.GradScaler:
    return torch.amp.GradScaler("cpu", **settings)


# The same as the whole batch


@pytest.mark.parametrize("size", [2, 3, 1], ids=["four of 2", "3, 3 and 2", "eight of 1"])
@pytest.mark.parametrize("beside", BESIDE)
def test_micro_batches_give_the_weights_of_the_whole_batch(train: Train, beside: str, size: int) -> None:
    seen = Watch(), Watch()
    whole = train(*BESIDE[beside](), seen[0], model=Network)
    parts = train(GradientStep(size), *BESIDE[beside](), seen[1], model=Network)
    close(weights(parts), weights(whole))
    close(seen[1].losses, seen[0].losses)
    assert seen[1].sizes == seen[0].sizes
    assert seen[1].clock == seen[0].clock
    # The last pass of an evaluation or of a plugin's own aside, nothing larger than a micro-batch went through.
    assert max(parts.model.sizes) == (size if "ewc" not in beside else 8)


@pytest.mark.parametrize("preset", ["paper", "reference"])
def test_aims_decisions_are_those_of_the_whole_batch(train: Train, preset: str) -> None:
    whole, parts = aim(preset), aim(preset)
    train(whole, model=Network, epochs=6)
    train(GradientStep(3), parts, model=Network, epochs=6)
    assert len(whole.history.merges) >= 2
    for one, other in zip(whole.history.merges, parts.history.merges, strict=True):
        assert (one.iteration, one.reason, one.next_interval) == (other.iteration, other.reason, other.next_interval)
        close((one.alpha_new, one.learning_signal), (other.alpha_new, other.learning_signal))
    losses = [[record.historical_loss for record in plugin.history.iterations] for plugin in (whole, parts)]
    close(*losses)


def test_where_it_stands_in_the_list_does_not_matter_for_the_weights(train: Train) -> None:
    first = train(GradientStep(2), aim("paper"), EWCPlugin(0.5), model=Network)
    last = train(aim("paper"), EWCPlugin(0.5), GradientStep(2), model=Network)
    close(weights(first), weights(last))


@pytest.mark.parametrize("step", [GradientStep(), GradientStep(8), GradientStep(100)], ids=["none", "8", "100"])
def test_a_batch_that_is_not_cut_trains_bit_for_bit_as_without_the_plugin(train: Train, step: Any, same: Any) -> None:
    with_it, without = train(step, aim("paper")), train(aim("paper"))
    assert same(with_it.model.state_dict(), without.model.state_dict())
    assert same(with_it.optimizer.state_dict(), without.optimizer.state_dict())


@pytest.mark.parametrize("template", EXACT)
@pytest.mark.parametrize("scaled", [False, True], ids=["unscaled", "scaled"])
def test_templates_that_bring_a_plugin_of_their_own_train_as_with_the_whole_batch(
    labelled_tasks: Any, template: str, scaled: bool
) -> None:
    if template == "gem":
        pytest.importorskip("quadprog")
    step = GradientStep(2, scaler=scaler() if scaled else None)
    close(
        weights(train_template(labelled_tasks, template, step)), weights(train_template(labelled_tasks, template)), 1e-5
    )


def test_the_output_that_metrics_see_is_the_whole_batchs(train: Train) -> None:
    outputs: list[list[Tensor]] = [[], []]

    class Keep(SupervisedPlugin):
        def __init__(self, into: list[Tensor]) -> None:
            super().__init__()
            self.into = into

        def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
            self.into.append(strategy.mb_output.detach())

    train(Keep(outputs[0]), model=Network)
    train(GradientStep(3), Keep(outputs[1]), model=Network)
    close(outputs[1], outputs[0])


# What could not be exact is refused


def train_with_a_sum(train: Train) -> None:
    train(GradientStep(2), model=Network, criterion=nn.CrossEntropyLoss(reduction="sum"))


def train_with_class_weights(train: Train) -> None:
    heavy = torch.tensor([9.0, 1, 1, 1, 1, 1], dtype=torch.float64)
    train(GradientStep(2), model=Network, criterion=nn.CrossEntropyLoss(weight=heavy))


@pytest.mark.parametrize("wrong", [train_with_a_sum, train_with_class_weights])
def test_a_loss_that_is_no_mean_over_examples_of_the_batch_is_refused(train: Train, wrong: Any) -> None:
    with pytest.raises(ValueError, match="expected a loss that is a mean over examples"):
        wrong(train)


@pytest.mark.parametrize("template", ["lwf", "er-ace"])
def test_a_template_whose_own_loss_reads_all_outputs_is_refused(labelled_tasks: Any, template: str) -> None:
    with pytest.raises(ValueError, match="expected a loss that is a mean over examples"):
        train_template(labelled_tasks, template, GradientStep(2))


def test_a_strategy_that_adds_examples_in_the_forward_pass_is_refused(labelled_tasks: Any) -> None:
    with pytest.raises(ValueError, match=r"2 here, got 6; a strategy that adds examples"):
        train_template(labelled_tasks, "der", GradientStep(2))


def test_an_output_that_is_no_tensor_is_refused(train: Train) -> None:
    class Pair(Network):
        def forward(self, x: Tensor) -> Any:
            return super().forward(x), x

    with pytest.raises(ValueError, match="one tensor with a row an example, 2 here, got tuple"):
        train(GradientStep(2), model=Pair, criterion=lambda out, y: nn.functional.cross_entropy(out[0], y))


@pytest.mark.parametrize("size", [0, -1])
def test_a_micro_batch_without_examples_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"micro_batch_size: expected at least 1 example or None, got {size}"):
        GradientStep(size)


@pytest.mark.parametrize("norm", [0.0, -1.0, float("nan")])
def test_a_norm_that_is_not_positive_is_refused(norm: float) -> None:
    with pytest.raises(ValueError, match="max_grad_norm: expected a positive number or infinity"):
        GradientStep(max_grad_norm=norm)


# Clipping


@pytest.mark.parametrize("beside", ["alone", "paper"])
def test_gradients_are_clipped_together_at_the_norm(train: Train, beside: str) -> None:
    free, clipped = Watch(), Watch()
    train(free, model=Network)
    train(GradientStep(max_grad_norm=0.05), *BESIDE[beside](), clipped, model=Network)
    assert max(free.norms) > 0.05
    assert max(clipped.norms) == pytest.approx(0.05, rel=1e-4)


def test_clipping_comes_after_the_micro_batches_are_added_up(train: Train) -> None:
    whole = train(GradientStep(max_grad_norm=0.05), aim("paper"), model=Network)
    parts = train(GradientStep(2, max_grad_norm=0.05), aim("paper"), model=Network)
    close(weights(parts), weights(whole))


def test_memory_iterations_are_clipped_at_aims_own_norm(train: Train) -> None:
    norms: list[float] = []

    class Counting(torch.optim.SGD):
        def step(self, *args: Any, **kwargs: Any) -> Any:
            gradients = [p.grad for group in self.param_groups for p in group["params"]]
            norms.append(float(torch.nn.utils.get_total_norm(gradients)))
            return super().step(*args, **kwargs)

    plugin = AIMMergingPlugin(schedule=FixedInterval(2), memory=8, max_grad_norm=0.02)
    train(
        GradientStep(2, max_grad_norm=0.05), plugin, model=Network, optimizer=lambda weights: Counting(weights, lr=0.1)
    )
    assert any(norm == pytest.approx(0.05, rel=1e-4) for norm in norms)
    assert any(norm == pytest.approx(0.02, rel=1e-4) for norm in norms)


# Loss scaling


@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize("beside", BESIDE)
def test_a_scaled_loss_gives_the_same_weights(train: Train, beside: str, size: int | None) -> None:
    seen = Watch(), Watch()
    whole = train(*BESIDE[beside](), seen[0], model=Network)
    scaled = train(GradientStep(size, scaler=scaler()), *BESIDE[beside](), seen[1], model=Network)
    close(weights(scaled), weights(whole))
    close(seen[1].losses, seen[0].losses)
    close(seen[1].norms, seen[0].norms)


class Overflow(SupervisedPlugin):
    """Makes the loss of one iteration too large to be scaled."""

    def __init__(self, iteration: int) -> None:
        super().__init__()
        self.iteration = iteration
        self.states: list[Any] = []

    def before_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.states.append(deepcopy((strategy.model.state_dict(), strategy.optimizer.state_dict())))

    def before_backward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        if strategy.clock.train_iterations == self.iteration:
            strategy.loss = strategy.loss * 3e38


@pytest.mark.parametrize("size", [None, 2])
def test_an_overflow_skips_the_step_lowers_the_scale_and_is_counted(
    train: Train, three_tasks: Any, same: Any, size: int | None
) -> None:
    chosen, overflow, watch = scaler(), Overflow(5), Watch()
    train(
        GradientStep(size, 1.0, chosen), overflow, watch, model=SinglePrecision,
        stream=three_tasks.train_stream[:1],
    )  # fmt: skip
    assert same(list(overflow.states[5]), list(overflow.states[6]))
    assert not same(list(overflow.states[6]), list(overflow.states[7]))
    assert chosen.get_scale() == 2.0**15
    assert watch.clock == 12


@pytest.mark.parametrize("size", [None, 2])
def test_an_overflow_in_the_memory_fine_tuning_skips_that_step_and_not_the_merge(
    train: Train, size: int | None
) -> None:
    class Half(nn.Module):
        """Passes gradients through fp16, where scaled ones overflow."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 6)

        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.float16):
                return self.layer(x)

    chosen, plugin = (
        scaler(init_scale=2.0**17, growth_interval=3),
        AIMMergingPlugin(schedule=FixedInterval(3), memory=8),
    )
    train(GradientStep(size, scaler=chosen), plugin, model=Half)
    assert plugin.history.merges
    assert all(merge.merged for merge in plugin.history.merges)
    assert chosen.get_scale() < 2.0**24  # it fell whenever it had grown too large


def test_a_disabled_scaler_does_nothing(train: Train, same: Any) -> None:
    step = GradientStep(scaler=scaler(enabled=False))
    assert same(train(step).model.state_dict(), train().model.state_dict())


# Language models


@pytest.fixture
def stream(model: Any, tasks: Any) -> Any:
    from avalanche_aim import text_benchmark

    return text_benchmark(tasks, model.tokenizer)


@pytest.mark.parametrize("beside", ["alone", "paper", "reference", "ewc"])
def test_micro_batches_give_a_language_models_weights(
    model: Any, stream: Any, strategy_of: Any, without_dropout: Any, beside: str
) -> None:
    def trained(*plugins: Any) -> list[Tensor]:
        torch.manual_seed(0)
        # A model of its own: copies share their frozen weights, which would all become double.
        copy = without_dropout(LanguageModel.from_pretrained("tiny" if model.is_causal else "tiny-t5")).double()
        strategy = strategy_of(copy, plugins=[*plugins, *BESIDE[beside]()], train_epochs=3)
        for experience in stream.train_stream:
            strategy.train(experience)
        return weights(strategy)

    close(trained(GradientStep(1)), trained(), 1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("preset", [None, "paper", "reference"])
def test_autocast_scaling_and_clipping_run_with_aim_and_without(
    model: Any, stream: Any, strategy_of: Any, dtype: torch.dtype, preset: str | None
) -> None:
    model.autocast = dtype
    before = weights(type("Holder", (), {"model": deepcopy(model)}))
    step = GradientStep(2, 1.0, scaler() if dtype is torch.float16 else None)
    strategy = strategy_of(model, plugins=[step, *([aim(preset)] if preset else [])])
    for experience in stream.train_stream:
        strategy.train(experience)
    assert all(weight.isfinite().all() for weight in weights(strategy))
    assert any(not torch.equal(one, other) for one, other in zip(before, weights(strategy), strict=True))


def test_the_plugin_of_a_strategy_is_found() -> None:
    model, step = Network(), GradientStep(2)
    strategy = Naive(model=model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1), plugins=[aim("paper"), step])
    assert GradientStep.of(strategy) is step
