"""Gradients made in micro-batches: the same as the whole batch's, or refused."""

import random
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from avalanche.benchmarks import nc_benchmark
from avalanche.training import AGEM, DER, ER_ACE, EWC, GEM, LwF, Naive, SynapticIntelligence
from avalanche.training.plugins import EWCPlugin, SupervisedPlugin
from gradient_runs import BESIDE, Network, SinglePrecision, Train, Watch, aim, close, scaler, weights
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from avalanche_aim import GradientStep, LanguageModel

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


# The same as the whole batch


@pytest.mark.parametrize(
    ("beside", "size"),
    [*((beside, 3) for beside in BESIDE), *((b, n) for b in ("alone", "merging often") for n in (2, 1))],
)
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


# Language models


@pytest.fixture
def stream(model: Any, tasks: Any) -> Any:
    from avalanche_aim import text_benchmark

    return text_benchmark(tasks, model.tokenizer)


@pytest.mark.parametrize("beside", ["merging often", "ewc"])
def test_micro_batches_give_a_language_models_weights(
    model: Any, stream: Any, strategy_of: Any, without_dropout: Any, beside: str
) -> None:
    def trained(*plugins: Any) -> list[Tensor]:
        torch.manual_seed(0)
        # A model of its own: copies share their frozen weights, which would all become double.
        copy = without_dropout(LanguageModel.from_pretrained("tiny" if model.is_causal else "tiny-t5")).double()
        strategy = strategy_of(copy, plugins=[*plugins, *BESIDE[beside]()])
        for experience in stream.train_stream:
            strategy.train(experience)
        return weights(strategy)

    close(trained(GradientStep(1)), trained(), 1e-5)


@pytest.mark.parametrize(
    ("dtype", "preset"), [(torch.bfloat16, "paper"), (torch.float16, None), (torch.float16, "reference")]
)
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
