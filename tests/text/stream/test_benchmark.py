"""Text tasks as an Avalanche benchmark."""

import json
import math
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from avalanche.evaluation.metrics import loss_metrics
from avalanche.training import (
    AGEM,
    DER,
    ER_ACE,
    EWC,
    MIR,
    Cumulative,
    GDumb,
    JointTraining,
    LwF,
    Naive,
    Replay,
)
from avalanche.training.plugins import MIRPlugin, SupervisedPlugin
from torch import Tensor

from avalanche_aim import AIMMergingPlugin, LanguageModel, standard_cl, text_benchmark
from avalanche_aim.merging import FixedInterval
from avalanche_aim.text import TextExample, TextTask, long_sequence, superni
from avalanche_aim.text.model.tiny import tiny_tokenizer
from avalanche_aim.text.stream.encoding import HEADER

CAUSAL = tiny_tokenizer("causal")
SAMPLE_ORDERS = {
    1: ["entities", "reviews", "questions", "news"],
    2: ["entities", "reviews", "news", "questions"],
    3: ["questions", "reviews", "news", "entities"],
}
MEMORY = {"mem_size": 8, "batch_size_mem": 4}
STRATEGIES: dict[str, tuple[type, dict[str, Any]]] = {
    "Naive": (Naive, {}),
    "Replay": (Replay, {"mem_size": 4}),
    "EWC": (EWC, {"ewc_lambda": 0.1}),
    "GDumb": (GDumb, {"mem_size": 8}),
    "AGEM": (AGEM, {"patterns_per_exp": 4, "sample_size": 4}),
    "Cumulative": (Cumulative, {}),
    "JointTraining": (JointTraining, {}),
    "MIR": (MIR, {**MEMORY, "subsample": 4}),
}
STRATEGIES_THAT_READ_ALL_LABELS: dict[str, tuple[type, dict[str, Any]]] = {
    "LwF": (LwF, {"alpha": 1.0, "temperature": 2.0}),
    "DER": (DER, MEMORY),
    "ER_ACE": (ER_ACE, MEMORY),
}


@pytest.fixture(scope="module")
def benchmark(tasks: list[TextTask]) -> Any:
    return text_benchmark(tasks, CAUSAL)


def names(stream: Any) -> list[str]:
    return [experience.task_name for experience in stream]


def answers(experience: Any) -> list[str]:
    return [experience.answers.texts[target] for target in experience.dataset.targets]


# The streams


def test_there_is_one_experience_a_task_in_each_stream(benchmark: Any, tasks: list[TextTask]) -> None:
    assert set(benchmark.streams) == {"train", "dev", "test"}
    for split, stream in benchmark.streams.items():
        assert names(stream) == [task.name for task in tasks]
        assert [len(e.dataset) for e in stream] == [len(task.split(split)) for task in tasks]


def test_an_experience_carries_its_task_and_the_streams_answers(benchmark: Any, tasks: list[TextTask]) -> None:
    for stream in benchmark.streams.values():
        for experience, task in zip(stream, tasks, strict=True):
            assert experience.task is task
            assert experience.task_name == task.name
            assert experience.answers is benchmark.train_stream[0].answers


def test_without_dev_examples_there_is_no_dev_stream(tasks: list[TextTask]) -> None:
    benchmark = text_benchmark([tasks[0], replace(tasks[1], dev=())], CAUSAL)
    assert set(benchmark.streams) == {"train", "test"}


def test_all_rows_of_a_stream_have_one_width(benchmark: Any) -> None:
    rows = [row for stream in benchmark.streams.values() for e in stream for row, *_ in e.dataset]
    longest = max(HEADER + int(row[2]) + int(row[3]) for row in rows)
    assert {tuple(row.shape) for row in rows} == {(longest,)}


def test_a_row_holds_its_task_prompt_and_answer(benchmark: Any, rows: Callable[..., Tensor]) -> None:
    for number, experience in enumerate(benchmark.test_stream):
        for row, example in zip(rows(experience), experience.task.test, strict=True):
            prompt, answer = row[HEADER : HEADER + row[2]], row[HEADER + row[2] : HEADER + row[2] + row[3]]
            assert int(row[0]) == number
            assert CAUSAL.decode(prompt) == example.prompt
            assert CAUSAL.decode(answer) == f" {example.answer}</s>"


def test_the_target_is_the_class_of_the_answer(benchmark: Any) -> None:
    for experience in benchmark.train_stream[:2]:
        assert answers(experience) == [example.answer for example in experience.task.train]
        assert all(int(row[1]) == target for row, target, _ in experience.dataset)


def test_all_task_labels_are_zero(benchmark: Any) -> None:
    assert {label for e in benchmark.train_stream for *_, label in e.dataset} == {0}
    assert {label for e in benchmark.train_stream for label in e.task_labels} == {0}


def test_tasks_that_share_a_label_share_its_class(benchmark: Any) -> None:
    space = benchmark.train_stream[0].answers
    moods, topics = ([space.texts[c] for c in classes] for classes in space.task_classes[:2])
    assert len(set(space.texts)) == len(space.texts)
    assert set(moods) & set(topics) == {"good"}
    assert len(space.texts) == len(moods) + len(topics) - 1


def test_an_experience_knows_its_classes(benchmark: Any) -> None:
    for experience, classes in zip(benchmark.train_stream, benchmark.train_stream[0].answers.task_classes, strict=True):
        assert set(experience.classes_in_this_experience) == set(classes or (6,))


def test_open_answers_are_one_class_the_last(benchmark: Any) -> None:
    space = benchmark.train_stream[0].answers
    assert (space.open_class, len(space)) == (6, 7)
    assert set(benchmark.train_stream[2].dataset.targets) == {6}


def test_shortened_prompts_are_counted_over_all_splits(tasks: list[TextTask]) -> None:
    long = TextExample("many words " * 40 + "\nMood:", ("good",))
    task = replace(tasks[0], train=(*tasks[0].train, long), test=(long, long))
    assert text_benchmark([task], CAUSAL).truncated == 0
    assert text_benchmark([task], CAUSAL, max_prompt_tokens=40).truncated == 3


# What is refused


def test_no_task_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected one or more tasks of different names, got \[\]"):
        text_benchmark([], CAUSAL)


def test_two_tasks_of_one_name_are_refused(tasks: list[TextTask]) -> None:
    with pytest.raises(ValueError, match=r"tasks of different names, got \['moods', 'moods'\]"):
        text_benchmark([tasks[0], tasks[0]], CAUSAL)


def test_a_prompt_without_text_is_refused_with_its_task_and_place(tasks: list[TextTask]) -> None:
    examples = tuple(TextExample("\n" if i == 299 else f"Thing {i}:", ("good",)) for i in range(300))
    with pytest.raises(ValueError, match=r"'moods'.*299"):
        text_benchmark([tasks[1], replace(tasks[0], train=examples)], CAUSAL)


@pytest.mark.parametrize("make", [lambda tasks: text_benchmark(tasks, None), lambda tasks: standard_cl(1)])
def test_a_missing_tokenizer_is_refused(make: Callable[..., Any], tasks: list[TextTask]) -> None:
    with pytest.raises(ValueError, match=r"tokenizer: expected.*LanguageModel.tokenizer.*got None"):
        make(tasks)


# The benchmarks by name


@pytest.mark.parametrize("order", SAMPLE_ORDERS)
def test_the_sample_follows_the_order_asked_for(order: int) -> None:
    benchmark = standard_cl(order, CAUSAL, train_per_task=8, eval_per_task=8)
    assert names(benchmark.train_stream) == names(benchmark.test_stream) == SAMPLE_ORDERS[order]


def test_sample_tasks_can_be_listed_by_either_name() -> None:
    benchmark = standard_cl(["agnews", "reviews"], CAUSAL, train_per_task=8, eval_per_task=8)
    assert names(benchmark.train_stream) == ["news", "reviews"]


def test_training_examples_are_limited_evenly_over_the_labels() -> None:
    benchmark = standard_cl(1, CAUSAL, train_per_task=13, eval_per_task=9)
    for experience in benchmark.train_stream:
        counts = Counter(experience.dataset.targets)
        assert counts.total() == 13
        assert max(counts.values()) - min(counts.values()) <= 1
    assert {len(e.dataset) for e in (*benchmark.dev_stream, *benchmark.test_stream)} == {9}


def test_the_choice_of_examples_follows_its_seed() -> None:
    chosen = [
        [e.prompt for e in standard_cl(["news"], CAUSAL, train_per_task=12, seed=seed).train_stream[0].task.train]
        for seed in (0, 0, 1)
    ]
    assert chosen[0] == chosen[1] != chosen[2]


def test_a_benchmark_reads_files_of_ones_own(tmp_path: Path) -> None:
    for split, size in (("train", 8), ("dev", 2), ("test", 4)):
        (tmp_path / split).mkdir()
        for name in ("imdb", "yelp"):
            records = [{"input": f"{name} {i}", "output": ("Good", "Bad")[i % 2]} for i in range(size)]
            (tmp_path / split / f"{name}_T5.json").write_text(json.dumps(records), encoding="utf-8")
    benchmark = long_sequence(["yelp", "imdb"], CAUSAL, tmp_path)
    assert names(benchmark.train_stream) == ["yelp", "imdb"]
    assert benchmark.train_stream[0].task.train[1] == TextExample("yelp 1", ("Bad",))


@pytest.mark.parametrize("make", [long_sequence, superni])
@pytest.mark.parametrize("data", [None, "sample"])
def test_the_longer_benchmarks_ask_for_their_files(make: Callable[..., Any], data: str | None) -> None:
    with pytest.raises(ValueError, match="data: expected a folder with the files of"):
        make(tokenizer=CAUSAL, data=data)


@pytest.mark.parametrize(("make", "order"), [(standard_cl, 4), (long_sequence, 3), (superni, 3)])
def test_a_number_of_another_benchmark_is_refused(make: Callable[..., Any], order: int) -> None:
    with pytest.raises(ValueError, match=f"order: expected one of .*got {order}"):
        make(order, CAUSAL)


@pytest.mark.real_data
def test_the_published_files_make_a_long_sequence(real_data: Path) -> None:
    benchmark = long_sequence(4, CAUSAL, real_data / "data_longsequence", train_per_task=4, eval_per_task=2)
    assert len(benchmark.train_stream) == 15
    assert benchmark.train_stream[0].answers.open_class is None


# With Avalanche's strategies


def train_on(strategy: Any, benchmark: Any) -> dict[str, float]:
    """Train on the whole stream, evaluate after each task, and return the last evaluation."""
    if isinstance(strategy, JointTraining):
        strategy.train(benchmark.train_stream)
        return strategy.eval(benchmark.test_stream)
    for experience in benchmark.train_stream:
        strategy.train(experience)
        result = strategy.eval(benchmark.test_stream)
    return result


def check(strategy: Any, benchmark: Any) -> None:
    before = [weight.detach().clone() for weight in strategy.model.parameters()]
    losses = [loss for name, loss in train_on(strategy, benchmark).items() if name.startswith("Loss_Exp")]
    assert len(losses) == len(benchmark.test_stream)
    assert all(0.0 < loss < 20.0 for loss in losses)
    after = [weight.detach() for weight in strategy.model.parameters()]
    assert all(weight.isfinite().all() for weight in after)
    assert not all(map(torch.equal, before, after))


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_stream_trains_with_avalanches(
    name: str, model: LanguageModel, closed_tasks: list[TextTask], strategy_of: Callable[..., Any]
) -> None:
    template, arguments = STRATEGIES[name]
    strategy = strategy_of(model, loss_metrics(experience=True), template=template, **arguments)
    check(strategy, text_benchmark(closed_tasks, model.tokenizer))


@pytest.mark.parametrize("name", STRATEGIES_THAT_READ_ALL_LABELS)
def test_the_stream_trains_with_all_labels_scored_with_avalanches(
    name: str, model: LanguageModel, closed_tasks: list[TextTask], strategy_of: Callable[..., Any]
) -> None:
    template, arguments = STRATEGIES_THAT_READ_ALL_LABELS[name]
    model.score_all_labels = True
    strategy = strategy_of(model, loss_metrics(experience=True), template=template, **arguments)
    check(strategy, text_benchmark(closed_tasks, model.tokenizer))


@pytest.mark.parametrize("name", STRATEGIES_THAT_READ_ALL_LABELS)
def test_a_strategy_that_reads_labels_which_are_not_scored_is_stopped_before_a_weight_is_nan(
    name: str, model: LanguageModel, closed_tasks: list[TextTask], strategy_of: Callable[..., Any]
) -> None:
    template, arguments = STRATEGIES_THAT_READ_ALL_LABELS[name]
    strategy = strategy_of(model, template=template, **arguments)
    with pytest.raises(
        ValueError, match=r"all labels \(LwF, MAS, DER, ER-ACE\) make the model with score_all_labels=True"
    ):
        train_on(strategy, text_benchmark(closed_tasks, model.tokenizer))
    assert all(weight.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize("name", ["tiny", "tiny-t5"])
def test_mir_trains_to_the_same_weights_whether_all_labels_are_scored_or_not(
    name: str, tasks: list[TextTask], strategy_of: Callable[..., Any], without_dropout: Callable[..., Any]
) -> None:
    weights = []
    for score_all_labels in (False, True):
        loaded = LanguageModel.from_pretrained(name, lora=False, dtype=torch.float64, score_all_labels=score_all_labels)
        model = without_dropout(loaded)
        torch.manual_seed(0)
        plugin = MIRPlugin(batch_size_mem=2, mem_size=12, subsample=6)
        train_on(strategy_of(model, plugins=[plugin]), text_benchmark(tasks, model.tokenizer))
        assert plugin.replay_loader is not None
        weights.append(list(model.parameters()))
    for one, other in zip(*weights, strict=True):
        torch.testing.assert_close(one, other)


def test_the_training_loss_is_the_mean_over_closed_and_open_examples_replayed_or_new(
    model: LanguageModel, tasks: list[TextTask], strategy_of: Callable[..., Any]
) -> None:
    benchmark = text_benchmark([tasks[2], tasks[0], tasks[1]], model.tokenizer)  # the open task first: it is replayed
    seen: list[tuple[set[int], float]] = []

    class Watch(SupervisedPlugin):
        def before_backward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
            gold = strategy.mb_output.gather(1, strategy.mb_y[:, None])
            assert math.isclose(float(strategy.loss), -float(gold.mean()), rel_tol=1e-5)
            seen.append((set(strategy.mb_x[:, 0].tolist()), float(strategy.loss)))

    strategy = strategy_of(model, template=Replay, mem_size=8, plugins=[Watch()])
    train_on(strategy, benchmark)
    mixed = [loss for tasks_in_batch, loss in seen if len(tasks_in_batch) > 1]
    assert {0, 1} in [tasks_in_batch for tasks_in_batch, _ in seen]
    assert all(math.isfinite(loss) for loss in mixed)


def test_merging_rehearses_closed_and_open_tasks_together(
    model: LanguageModel, tasks: list[TextTask], strategy_of: Callable[..., Any]
) -> None:
    plugin = AIMMergingPlugin("paper", schedule=FixedInterval(2), memory=4)
    benchmark = text_benchmark(tasks, model.tokenizer)
    check(strategy_of(model, loss_metrics(experience=True), plugins=[plugin]), benchmark)
    assert [merge.experience for merge in plugin.history.merges] == [1, 2]
    assert all(merge.merged and math.isfinite(merge.memory_loss_before) for merge in plugin.history.merges)
    assert set(plugin.memory.buffer.targets) > {6}


def test_the_same_seed_trains_to_the_same_weights(
    llama: LanguageModel, tasks: list[TextTask], strategy_of: Callable[..., Any]
) -> None:
    benchmark = text_benchmark(tasks, llama.tokenizer)
    weights = []
    for _ in range(2):
        torch.manual_seed(1)
        strategy = strategy_of(deepcopy(llama), template=Replay, mem_size=4)
        train_on(strategy, benchmark)
        weights.append(list(strategy.model.parameters()))
    assert all(map(torch.equal, *weights))
