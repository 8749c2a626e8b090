"""Each rival's formula, on a few weights and steps that are computed by hand."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from avalanche.training.plugins import SupervisedPlugin
from torch import Tensor, nn

from avalanche_aim import RehearsalMemory
from avalanche_aim.experiments.rivals import named
from avalanche_aim.experiments.rivals.evaluated import EvaluatedWeights
from avalanche_aim.experiments.rivals.forever import StrengthenedRehearsal
from avalanche_aim.experiments.rivals.magmax import MagMax
from avalanche_aim.experiments.rivals.slao import SLAO, orthogonal_rows
from avalanche_aim.experiments.rivals.sure import SurprisingMemory
from avalanche_aim.experiments.rivals.wsc import WeightSpaceConsolidation, reset_, score
from avalanche_aim.merging import ExponentialAverage, ModelTime, Observation
from avalanche_aim.training.plain_loop import PlainLoop


def budget(memory: float | int = 4) -> Any:
    return SimpleNamespace(batch_size=8, seed=0, rehearsal=lambda kind=RehearsalMemory: kind(memory, 0))


class Weights(nn.Module):
    """A model of a few named numbers."""

    def __init__(self, **values: Any) -> None:
        super().__init__()
        for name, value in values.items():
            self.register_parameter(name, nn.Parameter(torch.tensor(value)))

    def set(self, **values: Any) -> None:
        with torch.no_grad():
            for name, value in values.items():
                getattr(self, name).copy_(torch.tensor(value))

    def values(self, name: str) -> list[float]:
        return getattr(self, name).detach().flatten().tolist()


def task(plugin: Any, strategy: Any, *steps: dict[str, Any]) -> None:
    """Let a plugin see a task whose iterations leave the model with these weights."""
    strategy.train_epochs, strategy.dataloader = 1, steps
    plugin.before_training_exp(strategy)
    for weights in steps:
        strategy.model.set(**weights)
        plugin.after_training_iteration(strategy)
    plugin.after_training_exp(strategy)


def evaluated(plugin: Any, strategy: Any, name: str = "w") -> list[float]:
    plugin.before_eval(strategy)
    values = strategy.model.values(name)
    plugin.after_eval(strategy)
    return values


# Replay


class Batches(SupervisedPlugin):
    """Notes of each batch how many rows it has, and how many of them are of the current task."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, int]] = []

    def before_forward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        own = set(map(int, strategy.experience.dataset.targets))
        self.seen.append((len(strategy.mb_y), sum(int(y) in own for y in strategy.mb_y)))


@pytest.mark.parametrize(
    ("name", "options", "last_epoch"),
    [
        ("mix_replay", {}, [8, 8, 8, 8, 4]),  # 32 new and 4 remembered, shuffled
        ("replay", {"share": 0.2}, [10] * 4),  # 8 new and 2 remembered
        ("sure", {"every": 2}, [8, 12, 8, 12]),  # the 4 that there are, in every second iteration
    ],
)
def test_batches_hold_as_many_remembered_examples_as_the_rule_says(
    name: str, options: dict[str, Any], last_epoch: list[int], train: Callable[..., Any], three_tasks: Any
) -> None:
    batches = Batches()
    train(*getattr(named, name)(budget(), **options)["plugins"], batches, stream=three_tasks.train_stream[:2], epochs=2)
    rows, new = zip(*batches.seen[-len(last_epoch) :], strict=True)
    assert list(rows) == last_epoch
    assert sum(new) == 32
    if name != "mix_replay":
        assert new == (8, 8, 8, 8)


def test_surprise_keeps_the_examples_of_highest_loss(train: Callable[..., Any], three_tasks: Any) -> None:
    memory = SurprisingMemory(3)
    strategy = train(stream=three_tasks.train_stream[:1])
    strategy.model.eval()
    experience = three_tasks.train_stream[0]
    memory.post_adapt(strategy, experience)
    x, y = (torch.stack([torch.as_tensor(row[i]) for row in experience.dataset]) for i in (0, 1))
    losses = nn.functional.cross_entropy(strategy.model(x), y, reduction="none")
    assert memory.selected == [sorted(losses.topk(3).indices.tolist())]


# Merges


@pytest.fixture
def loop() -> Callable[..., list[float]]:
    """Train one weight w with the loss (w − target)² / 2 and SGD at 0.5, in a task after one that is remembered."""

    def run(plugin: Any, targets: Sequence[float], remembered: float) -> list[float]:
        class Remembered:
            selected = ((0,),)

            def __len__(self) -> int:
                return 1

            def batch(self, *args: Any) -> Any:
                return [torch.ones(1, 1), torch.tensor([[remembered]])]

        model = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(model.weight)
        plugin.rehearsal.memory = Remembered()
        seen: list[float] = []

        def criterion(output: Tensor, target: Tensor) -> Tensor:
            seen.append(model.weight.item())
            return (output - target).square().mean() / 2

        engine = PlainLoop(model, torch.optim.SGD(model.parameters(), lr=0.5), criterion, batch_size=1)
        engine.train(plugin.merging, [(torch.ones(1, 1), torch.tensor([[target]])) for target in targets], 1)
        return [*seen, model.weight.item()]

    return run


def test_alternation_takes_a_step_on_the_task_then_one_on_the_memory(loop: Callable[..., list[float]]) -> None:
    (plugin,) = named.alternate(budget(), interval=1)["plugins"]
    values = loop(plugin, [8.0, 8.0], remembered=0.0)
    # 0 → 4 (task) → 2 (memory) → 5 (task) → 2.5 (memory); the weight is also seen by one look at the memory each time.
    assert [v for i, v in enumerate(values) if i == 0 or v != values[i - 1]] == [0.0, 4.0, 2.0, 5.0, 2.5]


def test_mer_goes_back_by_a_share_of_every_k_steps(loop: Callable[..., list[float]]) -> None:
    _, plugin = named.mer(budget(), interval=2, epsilon=0.25)["plugins"]
    values = loop(plugin, [8.0, 8.0, 8.0, 8.0], remembered=100.0)
    # 0 → 4 → 6, back to 0 + 6/4 = 1.5; → 4.75 → 6.375, back to 1.5 + 4.875/4 = 2.71875. Nothing is learned from memory.
    assert values[-1] == pytest.approx(2.71875)


def test_slow_weights_follow_their_formula_from_the_first_rehearsed_task_on() -> None:
    memory: list[int] = []
    plugin = EvaluatedWeights(ExponentialAverage(0.75), memory)  # type: ignore[arg-type]
    strategy = SimpleNamespace(model=Weights(w=0.0))
    task(plugin, strategy, {"w": 8.0})
    assert evaluated(plugin, strategy) == [8.0]  # nothing was rehearsed yet
    memory.append(0)
    task(plugin, strategy, {"w": 16.0}, {"w": 8.0})
    assert evaluated(plugin, strategy) == [9.5]  # 8 → 0.75 · 8 + 0.25 · 16 = 10 → 0.75 · 10 + 0.25 · 8
    assert strategy.model.values("w") == [8.0]


# FOREVER


def due(time: ModelTime, *steps: float) -> list[bool]:
    return [time.due(Observation(1, i, i, None, None, step_length=step)) is not None for i, step in enumerate(steps, 1)]


def test_days_come_on_the_forgetting_curve_of_model_time() -> None:
    time = ModelTime(calibration=2)
    # Day = 0.5 + 1.5 = 2; days 1, 2, 4, 7 are the times 2, 4, 8, 14.
    assert due(time, 0.5, 1.5, 1.0, 1.0, 3.0, 1.0, 5.9, 0.1) == [False, True, False, True, False, True, False, True]


def test_a_step_over_two_days_is_one_rehearsal() -> None:
    time = ModelTime(calibration=1)
    assert due(time, 1.0, 4.0, 1.0, 2.0) == [True, True, False, True]  # days 1; 2 and 4 together; 7 at time 8


def test_later_days_double() -> None:
    time = ModelTime(calibration=1)
    days = [day for day, rehearsed in enumerate(due(time, *[1.0] * 130), start=1) if rehearsed]
    assert days == [1, 2, 4, 7, 15, 30, 60, 120]


def test_a_new_task_has_a_time_of_its_own() -> None:
    time = ModelTime(calibration=2)
    due(time, 5.0, 5.0, 5.0)
    time.start()
    assert due(time, 0.1, 0.1, 0.1, 0.1) == [False, True, False, True]


@pytest.mark.parametrize(("steps", "intensity"), [((2.0, 2.0), 1.0), ((2.0, 2.0, 6.0), 1.1), ((1.0, 3.0, 0.0), 0.95)])
def test_intensity_is_the_smoothed_speed_over_that_of_the_first_day(steps: Any, intensity: float) -> None:
    time = ModelTime(calibration=2)
    due(time, *steps)
    assert time.intensity == pytest.approx(intensity)


@pytest.mark.parametrize(("speed", "factor"), [(1.0, 1.0), (1.5, 2.0), (9.0, 3.0), (0.9, 0.8), (0.1, 0.5)])
def test_the_penalty_grows_with_the_distance_and_with_intensity_within_bounds(speed: float, factor: float) -> None:
    time = ModelTime(calibration=1)
    time.day, time.speed = 1.0, speed
    rehearsal = StrengthenedRehearsal(time, strength=1e-3, gamma=2.0)
    weights = [torch.tensor([1.0, 2.0]), torch.tensor([5.0])]
    rehearsal.start([torch.tensor([0.0, 0.0]), torch.tensor([3.0])])
    penalty = rehearsal.penalty(weights)
    assert penalty is not None
    assert float(penalty) == pytest.approx(1e-3 * factor * (1 + 4 + 4))


def test_a_penalty_of_no_strength_is_none() -> None:
    rehearsal = StrengthenedRehearsal(ModelTime(), strength=0.0)
    rehearsal.start([torch.zeros(1)])
    assert rehearsal.penalty([torch.ones(1)]) is None


# WSC


def test_a_score_is_adams_first_moment_times_its_second() -> None:
    weight = nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.AdamW([weight], betas=(0.5, 0.75))
    for gradient in ([4.0, -1.0], [2.0, -1.0]):
        weight.grad = torch.tensor(gradient)
        optimizer.step()
    # m = 0.25·4 + 0.5·2 = 2, m̂ = 2 / 0.75; v = 0.1875·16 + 0.25·4 = 4, v̂ = 4 / 0.4375
    assert score(optimizer, weight).tolist() == pytest.approx([2 / 0.75 * 4 / 0.4375, 1.0])


def test_an_optimizer_without_moments_is_refused() -> None:
    weight = nn.Parameter(torch.zeros(2))
    with pytest.raises(ValueError, match="Adam's moments, got SGD"):
        score(torch.optim.SGD([weight], lr=0.1), weight)


def test_all_but_the_highest_scores_go_half_way_back() -> None:
    weight, before = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]), torch.zeros(5)
    reset_(weight, before, torch.tensor([1.0, 9.0, 2.0, 8.0, 0.0]), retain=0.4)
    assert weight.tolist() == [0.5, 2.0, 1.5, 4.0, 2.5]


def test_a_task_ends_with_the_mean_of_the_weights_since_the_reset() -> None:
    plugin = WeightSpaceConsolidation([0], warmup=0.5, retain=0.5)  # type: ignore[arg-type]
    model = Weights(w=[0.0, 0.0])
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=0.0)
    model.w.grad = torch.tensor([1.0, 2.0])
    optimizer.step()
    strategy = SimpleNamespace(model=model, optimizer=optimizer)
    # After 2 of 4 iterations [4, 4] becomes [2, 4]; the mean with [5, 7] and [8, 10] is [5, 7].
    task(plugin, strategy, {"w": [1.0, 1.0]}, {"w": [4.0, 4.0]}, {"w": [5.0, 7.0]}, {"w": [8.0, 10.0]})
    assert model.values("w") == [5.0, 7.0]


# Without a memory


def test_each_number_takes_the_task_vector_of_largest_magnitude() -> None:
    plugin, strategy = MagMax(scale=0.5), SimpleNamespace(model=Weights(w=[1.0, 1.0, 1.0]))
    task(plugin, strategy, {"w": [5.0, 2.0, 1.0]})
    assert evaluated(plugin, strategy) == [3.0, 1.5, 1.0]  # 1 + ½ · [4, 1, 0]
    task(plugin, strategy, {"w": [3.0, -1.0, 1.0]})
    assert evaluated(plugin, strategy) == [3.0, 0.0, 1.0]  # 1 + ½ · [4, −2, 0]
    assert strategy.model.values("w") == [3.0, -1.0, 1.0]  # training goes on from here


def test_orthogonal_rows_span_what_the_rows_did() -> None:
    a = torch.tensor([[3.0, 4.0, 0.0], [-1.0, 2.0, 5.0]])
    rows = orthogonal_rows(a)
    torch.testing.assert_close(rows @ rows.T, torch.eye(2))
    torch.testing.assert_close(rows[0], torch.tensor([0.6, 0.8, 0.0]))  # the sign is that of a
    torch.testing.assert_close((a @ rows.T) @ rows, a)


def test_b_is_averaged_over_tasks_and_a_is_the_last() -> None:
    model = Weights(lora_A=[[3.0, 4.0]], lora_B=[[0.0]], other=[0.0])
    plugin, strategy = SLAO(), SimpleNamespace(model=model)
    task(plugin, strategy, {"lora_B": [[2.0]], "lora_A": [[3.0, 4.0]]})
    assert evaluated(plugin, strategy, "lora_B") == [2.0]
    plugin.before_training_exp(strategy)
    assert model.values("lora_A") == pytest.approx([0.6, 0.8])
    model.set(lora_A=[[1.0, 0.0]], lora_B=[[6.0]], other=[7.0])
    plugin.after_training_exp(strategy)
    assert evaluated(plugin, strategy, "lora_B") == pytest.approx([2 + 4 / 2**0.5])
    assert evaluated(plugin, strategy, "lora_A") == [1.0, 0.0]
    assert evaluated(plugin, strategy, "other") == [7.0]
    assert model.values("lora_B") == [6.0]


def test_slao_refuses_a_model_without_lora() -> None:
    strategy = SimpleNamespace(model=Weights(w=0.0))
    with pytest.raises(ValueError, match=r"slao: expected a model with trainable LoRA weights .* got Weights with w"):
        SLAO().before_training_exp(strategy)
