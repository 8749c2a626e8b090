"""Online streams: interval, signals and memory belong to the task, not to the experiences it was split into."""

from typing import Any

import pytest
import torch
from avalanche.benchmarks.scenarios.online import (
    OnlineCLExperience,
    split_continuous_linear_decay_stream,
    split_online_stream,
)
from avalanche.models import IncrementalClassifier
from avalanche.training import Naive
from avalanche.training.plugins import EvaluationPlugin, ReplayPlugin
from torch import nn

from avalanche_aim import AIMMergingPlugin, LanguageModel, RehearsalMemory, TextTask, text_benchmark
from avalanche_aim.merging import FixedInterval
from avalanche_aim.text import TextExample

TASK_ROWS = 32  # of each of three tasks; batches of 4 make 8 iterations


def trained(stream: Any, *plugins: Any, model: nn.Module | None = None, criterion: Any = None) -> Any:
    """Train on a stream in batches of four; tensors by a linear model, unless another is given."""
    torch.manual_seed(0)
    model = nn.Linear(8, 6) if model is None else model
    strategy = Naive(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.01),
        criterion=criterion or nn.CrossEntropyLoss(),
        train_mb_size=4,
        plugins=list(plugins),
        evaluator=EvaluationPlugin(loggers=[]),
    )
    for experience in stream:
        strategy.train(experience)
    return strategy


def online(stream: Any, boundaries: bool, size: int = 4, **options: Any) -> list[OnlineCLExperience]:
    return list(split_online_stream(stream, size, access_task_boundaries=boundaries, seed=0, **options))


def aim(interval: int = 4, **settings: Any) -> AIMMergingPlugin:
    return AIMMergingPlugin(schedule=FixedInterval(interval), **({"preset": "paper", "memory": 6} | settings))


def merges(plugin: AIMMergingPlugin) -> list[tuple[int, int]]:
    return [(merge.experience, merge.iteration) for merge in plugin.history.merges]


# With task boundaries


@pytest.mark.parametrize("size", [4, 7, TASK_ROWS])
def test_a_split_task_is_merged_and_remembered_as_the_whole_one(three_tasks: Any, size: int) -> None:
    plugin = aim()
    trained(online(three_tasks.train_stream, True, size), plugin)
    assert {experience for experience, _ in merges(plugin)} == {1, 2}
    iterations = sum(-(-min(size, TASK_ROWS - start) // 4) for start in range(0, TASK_ROWS, size))
    assert merges(plugin) == [(task, at) for task in (1, 2) for at in range(4, iterations + 1, 4)]
    assert [len(rows) for rows in plugin.memory.selected] == [6, 6, 6]


def test_signals_count_on_from_part_to_part(three_tasks: Any) -> None:
    plugin = aim(interval=8)
    trained(online(three_tasks.train_stream, True), plugin)
    assert [record.iteration for record in plugin.history.iterations] == [*range(1, 9)] * 2
    assert [merge.elapsed for merge in plugin.history.merges] == [8, 8]


def test_shares_of_a_task_in_parts_are_refused(three_tasks: Any) -> None:
    plugin = AIMMergingPlugin("thirds", memory=8)
    with pytest.raises(ValueError, match="whose number of iterations is known"):
        trained(online(three_tasks.train_stream, True), plugin)


def test_the_memory_is_balanced_over_the_classes_of_the_whole_task(three_tasks: Any) -> None:
    memory = RehearsalMemory(6)
    trained(online(three_tasks.train_stream, True, 1), aim(memory=memory))
    targets = [int(example[1]) for example in memory.buffer]
    assert sorted(targets) == [target for target in range(6) for _ in range(3)]


def test_a_fraction_is_one_of_the_task(three_tasks: Any) -> None:
    plugin = aim(memory=0.25)
    trained(online(three_tasks.train_stream, True, 2), plugin)
    assert [len(rows) for rows in plugin.memory.selected] == [8, 8, 8]


def test_a_task_of_which_some_never_came_is_remembered_when_the_next_begins(three_tasks: Any) -> None:
    plugin, parts = aim(), online(three_tasks.train_stream, True, 8)
    trained([*parts[:3], *parts[4:]], plugin)
    assert [len(rows) for rows in plugin.memory.selected] == [6, 6, 6]
    assert max(plugin.memory.selected[0]) < 24


def test_a_splitter_that_does_not_say_how_many_parts_there_are_is_waited_for(three_tasks: Any) -> None:
    parts = online(three_tasks.train_stream, True, 8)
    for part in parts:
        part.sub_stream_length = None
    plugin = aim()
    trained(parts, plugin)
    assert {task for task, _ in merges(plugin)} == {1, 2}
    assert [len(rows) for rows in plugin.memory.selected] == [6, 6]
    assert len(plugin.memory.pending) == 4


# Without them


@pytest.mark.parametrize("stream", ["split", "linear decay"])
def test_without_boundaries_the_memory_is_a_reservoir_and_intervals_count_on(three_tasks: Any, stream: str) -> None:
    whole, plugin = three_tasks.train_stream, aim()
    if stream == "split":
        parts = online(whole, False)
    else:
        parts = list(split_continuous_linear_decay_stream(whole, 4, 8, beta=4, shuffle=True))
    trained(parts, plugin)
    assert merges(plugin) == [(0, at) for at in range(5, 24, 4)]  # the first part has no memory
    assert len(plugin.memory) == len(plugin.memory.buffer) == 6


def test_a_reservoir_is_a_random_sample_of_all_that_was_seen(three_tasks: Any) -> None:
    data = [part for part in online(three_tasks.train_stream, False)]
    counts = torch.zeros(96)
    for seed in range(200):
        memory = RehearsalMemory(24, seed)
        for part in data:
            memory.post_adapt(None, part)
        counts[memory.selected[0]] += 1
    assert counts.sum() == 200 * 24
    expected, deviation = 50.0, (200 * 0.25 * 0.75) ** 0.5
    assert ((counts - expected) / deviation).abs().max() < 4.5
    assert ((counts[:48].sum() - counts[48:].sum()) / (200 * 24) ** 0.5).abs() < 4.5


def test_a_reservoir_is_seeded(three_tasks: Any) -> None:
    def kept(seed: int) -> list[list[int]]:
        plugin = aim(memory=RehearsalMemory(6, seed))
        trained(online(three_tasks.train_stream, False), plugin)
        return plugin.memory.selected

    assert kept(0) == kept(0) != kept(1)


def test_a_fraction_of_a_stream_without_boundaries_says_what_it_keeps(three_tasks: Any) -> None:
    with pytest.warns(UserWarning, match="0.5 of a stream without task boundaries are; 200 are kept, give another"):
        trained(online(three_tasks.train_stream, False)[:3], aim(memory=0.5))


def test_streams_of_both_kinds_in_one_memory_are_refused(three_tasks: Any) -> None:
    memory = RehearsalMemory(4)
    memory.post_adapt(None, three_tasks.train_stream[0])
    with pytest.raises(ValueError, match="with task boundaries or one without, got both"):
        memory.post_adapt(None, online(three_tasks.train_stream, False)[0])


class Growing(nn.Module):
    """A model whose head grows with the classes that come."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = IncrementalClassifier(8, initial_out_features=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(x)


@pytest.mark.parametrize("boundaries", [False, True])
def test_a_head_that_grows_within_a_task_begins_the_interval_anew(three_tasks: Any, boundaries: bool) -> None:
    parts = online(three_tasks.train_stream, boundaries)
    for part in parts:
        part.classes_in_this_experience = sorted({int(target) for target in part.dataset.targets})
    plugin = aim(interval=2)
    strategy = trained(parts, plugin, model=Growing())
    assert strategy.model.classifier.classifier.out_features == 6
    assert len(merges(plugin)) > 3


# Beside others


def test_replay_from_the_same_memory_sees_the_same_rows(three_tasks: Any) -> None:
    memory = RehearsalMemory(6)
    replay = ReplayPlugin(memory.max_size, storage_policy=memory)
    trained(online(three_tasks.train_stream, True), replay, aim(memory=memory))
    assert [len(rows) for rows in memory.selected] == [6, 6, 6]


@pytest.mark.parametrize("boundaries", [False, True])
def test_a_text_stream_merges_too(boundaries: bool) -> None:
    rows = tuple(TextExample(f"is {i} good?", (("yes", "no")[i % 2],)) for i in range(12))
    tasks = [TextTask(name, rows, (), rows, ("yes", "no")) for name in ("one", "two")]
    model = LanguageModel.from_pretrained("tiny")
    benchmark = text_benchmark(tasks, model.tokenizer, cache=False)
    plugin = aim(interval=2, memory=3)
    trained(online(benchmark.train_stream, boundaries), plugin, model=model, criterion=model.criterion)
    assert merges(plugin) == ([(1, 2)] if boundaries else [(0, 3), (0, 5)])
    assert len(plugin.memory) == (6 if boundaries else 3)
