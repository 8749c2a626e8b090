"""A memory of examples that the model has written itself."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from avalanche_aim import AIMMergingPlugin, LanguageModel, text_benchmark
from avalanche_aim.text import TextTask
from avalanche_aim.text.self_written import SelfWrittenMemory, SelfWrittenRehearsal, _distinct, _shared, _up_to
from avalanche_aim.text.stream.encoding import HEADER

EVERYTHING = {"confidence": 0.0, "distinct": 0.0}


@pytest.fixture
def trained_with(
    llama: LanguageModel, closed_tasks: list[TextTask], strategy_of: Callable[..., Any]
) -> Callable[..., tuple[SelfWrittenMemory, AIMMergingPlugin, Any]]:
    """Train on two tasks with such a memory; return it, the plugin and the stream."""

    def train(**settings: Any) -> tuple[SelfWrittenMemory, AIMMergingPlugin, Any]:
        memory = SelfWrittenMemory(**{"size": 4, "attempts": 2, **settings})
        plugin = AIMMergingPlugin("settled", rehearsal=SelfWrittenRehearsal(memory))
        benchmark = text_benchmark(closed_tasks[:2], llama.tokenizer)
        strategy = strategy_of(llama, plugins=[plugin], train_epochs=2)
        for experience in benchmark.train_stream:
            strategy.train(experience)
        return memory, plugin, benchmark

    return train


def test_examples_have_the_form_of_their_task_and_none_of_its_texts(
    trained_with: Callable[..., Any], rows: Callable[..., torch.Tensor]
) -> None:
    memory, plugin, benchmark = trained_with(**EVERYTHING)
    assert [len(numbers) for numbers in memory.selected] == [4, 4] and len(memory) == 8
    written, given = memory.batch(4, torch.Generator(), range(4))[0], rows(benchmark.train_stream[0])
    prompts = [[row[HEADER : HEADER + int(row[2])].tolist() for row in part] for part in (written, given)]
    begin, cue = _shared(prompts[1])
    assert cue and all(p[: len(begin)] == begin and p[-len(cue) :] == cue for p in prompts[0])
    assert not {tuple(p) for p in prompts[0]} & {tuple(p) for p in prompts[1]}
    answers = benchmark.train_stream[0].answers
    for row in written:
        assert int(row[0]) == 0 and int(row[1]) in answers.task_classes[0]
        at = HEADER + int(row[2])
        assert tuple(row[at : at + int(row[3])].tolist()) == answers.tokens[int(row[1])]
    assert {merge.experience for merge in plugin.history.merges} == {1}


def test_a_restored_memory_is_the_same(trained_with: Callable[..., Any]) -> None:
    memory, plugin, _ = trained_with(**EVERYTHING)
    restored = SelfWrittenRehearsal(SelfWrittenMemory(4, seed=7))
    restored.prepare(None, 0)
    restored.load_state_dict(plugin.rehearsal.state_dict(plugin.merging.weights), [])
    generators = [torch.Generator().manual_seed(2) for _ in range(2)]
    batches = [one.batch(5, g) for one, g in zip((memory, restored.memory), generators, strict=True)]
    assert all(map(torch.equal, *batches))


def test_the_seed_alone_decides_what_is_written_and_no_global_stream_or_mode_is_touched(
    llama: LanguageModel, closed_tasks: list[TextTask]
) -> None:
    experience = text_benchmark(closed_tasks[:1], llama.tokenizer).train_stream[0]
    llama.adaptation(experience)
    llama.train()

    class Strategy:
        model, device = llama, torch.device("cpu")

    written = []
    for seed, own in ((0, 3), (5, 3), (0, 4)):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        memory = SelfWrittenMemory(4, seed=own, **EVERYTHING)
        memory.post_adapt(Strategy, experience)
        memory.post_adapt(Strategy, experience)  # one memory may serve several plugins
        assert torch.equal(before, torch.get_rng_state()) and llama.training
        written.append(memory.state_dict()["rows"])
    assert len(written[0]) == 4 and torch.equal(written[0], written[1])
    assert not torch.equal(written[0], written[2])


def test_where_no_text_passes_the_filter_training_goes_on_without_and_says_so_once(
    trained_with: Callable[..., Any],
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        memory, plugin, _ = trained_with(confidence=1.0)
    said = [str(w.message) for w in caught if "passed the filter" in str(w.message)]
    assert len(memory) == 0 and plugin.history.merges == []
    assert len(said) == 1 and "lower confidence (1.0) or distinct (0.7), or write more (attempts=2)" in said[0]


def test_a_model_that_cannot_write_is_refused_before_training(
    tiny_models: dict[str, LanguageModel], closed_tasks: list[TextTask], strategy_of: Callable[..., Any]
) -> None:
    model = tiny_models["tiny-t5"]
    strategy = strategy_of(model, plugins=[AIMMergingPlugin(rehearsal=SelfWrittenRehearsal())])
    with pytest.raises(ValueError, match="expected a causal LanguageModel, which can write examples"):
        strategy.train(text_benchmark(closed_tasks[:1], model.tokenizer).train_stream[0])
    with pytest.raises(ValueError, match="got Linear"):
        SelfWrittenMemory().check(nn.Linear(1, 1), None)


def test_an_open_task_is_refused(llama: LanguageModel, tasks: list[TextTask]) -> None:
    benchmark = text_benchmark(tasks, llama.tokenizer)
    (opened,) = [e for e in benchmark.train_stream if e.task.labels is None][:1]
    with pytest.raises(ValueError, match="expected tasks with closed labels, got the open"):
        SelfWrittenMemory().check(llama, opened)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, "size: expected 1 or more"),
        ({"attempts": 0}, "attempts: expected 1 or more"),
        ({"confidence": 1.5}, r"confidence: expected a share in \[0, 1\]"),
        ({"distinct": -1}, r"distinct: expected a share in \[0, 1\]"),
        ({"temperature": 0}, "temperature: expected a positive number"),
    ],
)
def test_a_setting_out_of_range_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SelfWrittenMemory(**settings)


def test_the_form_of_prompts_is_what_all_begin_and_end_with() -> None:
    assert _shared([[1, 2, 7, 9], [1, 2, 8, 6, 9], [1, 2, 5, 9]]) == ([1, 2], [9])
    assert _shared([[1, 2], [3, 4]]) == ([], [])
    assert _shared([[1, 2, 3], [1, 2, 3]]) == ([1, 2], [])


def test_a_text_ends_where_the_cue_begins() -> None:
    assert _up_to([5, 6, 1, 2, 7], [[9], [1, 2]]) == [5, 6]
    assert _up_to([5, 9, 1, 2], [[9], [1, 2]]) == [5]
    assert _up_to([5, 6], [[9]]) == [5, 6]


@pytest.mark.parametrize(("text", "share"), [([1, 2, 3, 4], 1.0), ([1, 1, 1, 1, 1], 1 / 3), ([1, 2], 1.0)])
def test_repetition_is_the_share_of_runs_that_differ(text: list[int], share: float) -> None:
    assert _distinct(text) == pytest.approx(share)
