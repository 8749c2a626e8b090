"""Text tasks as embeddings: classes, what of a prompt is embedded, and that strategies train on them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from avalanche.training import EWC, LwF, Naive
from avalanche.training.plugins import ReplayPlugin

from avalanche_aim import AIMMergingPlugin, RehearsalMemory
from avalanche_aim.beds import Embeddings, Head, LabelScores, feature_benchmark
from avalanche_aim.beds.features import without_instruction
from avalanche_aim.evaluation import ResultMatrix
from avalanche_aim.text import TextTask

Make = Callable[..., Embeddings]


@pytest.fixture
def benchmark(closed_tasks: list[TextTask], embeddings: Make) -> Any:
    return feature_benchmark(closed_tasks, embeddings())


def test_each_label_text_of_the_stream_is_one_class(benchmark: Any) -> None:
    assert benchmark.labels == ("bad", "good", "very bad", "very good", "music", "sport of kings")
    used = [sorted(set(map(int, experience.dataset.targets))) for experience in benchmark.train_stream]
    assert used == [[0, 1, 2, 3], [1, 4, 5]]  # both tasks have "good"


def test_an_example_is_the_vector_of_its_own_prompt(
    benchmark: Any, closed_tasks: list[TextTask], embeddings: Make
) -> None:
    assert benchmark.input_shape == (16,)
    for stream, split in (("train", "train"), ("dev", "dev"), ("test", "test")):
        for experience, task in zip(benchmark.streams[stream], closed_tasks, strict=True):
            examples = without_instruction(task).split(split)
            expected = embeddings().of([example.prompt for example in examples])
            assert torch.equal(torch.stack([row[0] for row in experience.dataset]), expected)
            assert [benchmark.labels[row[1]] for row in experience.dataset] == [e.answer for e in examples]
            assert (experience.task_name, experience.task) == (task.name, task)


def test_the_lines_that_all_prompts_begin_with_are_cut_off(closed_tasks: list[TextTask]) -> None:
    task = closed_tasks[0]
    line = "What is the mood?\nThe choice is yours.\nThe "
    splits = {s: tuple(replace(e, prompt=line + e.prompt) for e in task.split(s)) for s in ("train", "dev", "test")}
    cut = without_instruction(replace(task, **splits))
    assert cut.test[0].prompt == "The " + task.test[0].prompt


def test_a_prompt_is_never_cut_to_nothing() -> None:
    task = TextTask.from_lists("same", train=[("one\ntwo\n", "a")] * 4, test=[("one\ntwo\n", "a")])
    assert without_instruction(task).train[0].prompt == "two\n"


def test_instructions_are_embedded_where_asked_for(closed_tasks: list[TextTask], embeddings: Make) -> None:
    task = closed_tasks[0]
    splits = {s: tuple(replace(e, prompt="Say:\n" + e.prompt) for e in task.split(s)) for s in ("train", "test")}
    whole = feature_benchmark([replace(task, **splits, dev=())], embeddings(), instruction=True)
    assert torch.equal(whole.train_stream[0].dataset[0][0], embeddings().of([splits["train"][0].prompt])[0])
    assert "dev" not in whole.streams


@pytest.mark.parametrize("template", [Naive, EWC, LwF])
@pytest.mark.parametrize("plugin", ["none", "aim", "replay"])
def test_strategies_train_on_it(template: Any, plugin: str, benchmark: Any, strategy_of: Callable[..., Any]) -> None:
    memory = RehearsalMemory(4)
    plugins = {
        "none": [],
        "aim": [AIMMergingPlugin("paper", memory=memory)],
        "replay": [ReplayPlugin(mem_size=memory.max_size, storage_policy=memory)],
    }[plugin]
    model, matrix = Head.of(benchmark), ResultMatrix("test", LabelScores())
    start = [weight.clone() for weight in model.parameters()]
    own = {EWC: {"ewc_lambda": 1.0}, LwF: {"alpha": 1.0, "temperature": 2.0}}.get(template, {})
    strategy = strategy_of(model, matrix, template=template, criterion=model.criterion, plugins=plugins, **own)
    for seen, experience in enumerate(benchmark.train_stream, start=1):
        strategy.train(experience)
        strategy.eval(benchmark.test_stream[:seen])
    assert [len(row) for row in matrix.rows] == [1, 2]
    assert all(bool(weight.isfinite().all()) for weight in model.parameters())
    assert not any(map(torch.equal, model.parameters(), start))


def test_a_head_is_made_from_its_own_seed(benchmark: Any) -> None:
    before = torch.get_rng_state()
    one, same, other = Head.of(benchmark, seed=1), Head.of(benchmark, seed=1), Head.of(benchmark, seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(map(torch.equal, one.parameters(), same.parameters()))
    assert not any(map(torch.equal, one.parameters(), other.parameters()))
    assert [tuple(weight.shape) for weight in one.parameters()] == [(256, 16), (256,), (6, 256), (6,)]


# Bad input


def test_open_tasks_are_refused_by_name(tasks: list[TextTask], embeddings: Make) -> None:
    with pytest.raises(ValueError, match="the open names: leave them out"):
        feature_benchmark(tasks, embeddings())


def test_no_task_and_two_of_one_name_are_refused(closed_tasks: list[TextTask], embeddings: Make) -> None:
    for tasks in ([], [closed_tasks[0], closed_tasks[0]]):
        with pytest.raises(ValueError, match="one or more tasks of different names"):
            feature_benchmark(tasks, embeddings())
