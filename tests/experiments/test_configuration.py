"""What a comparison may be asked to do."""

import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
import torch

from avalanche_aim.experiments import Configuration, models
from avalanche_aim.experiments.models import LanguageModels
from avalanche_aim.text import TextTask

Make = Callable[..., Configuration]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"benchmark": "glue"},
            "benchmark: expected one of standard_cl, long_sequence, superni, trace, mmlu_pro, digits, got 'glue'",
        ),
        ({"benchmark": ["superni"]}, r"benchmark: expected a text, got \['superni'\]"),
        ({"benchmark": "long_sequence"}, "data: expected the folder of the files of long_sequence"),
        ({"benchmark": "superni"}, "data: expected the folder of the files of superni"),
        ({"data": 3}, "data: expected a text or none, got 3"),
        ({"model": None}, "model: expected a text, got None"),
        ({"device": 0}, "device: expected a text, got 0"),
        ({"orders": (1.5,)}, r"orders: expected one or more, each a text, got \[1.5\]"),
        ({"strategies": ()}, r"strategies: expected one or more, each a text, got \[\]"),
        ({"strategies": (["naive"],)}, "strategies: expected one or more, each a text"),
        ({"strategies": ("naive", "aimm")}, "strategies: expected some of naive, replay, .*got aimm"),
        ({"seeds": ()}, r"seeds: expected one or more, each an integer of 0 or more, and below 2\^63, got \[\]"),
        ({"seeds": ("one",)}, "seeds: expected one or more, each an integer"),
        ({"seeds": (True,)}, "seeds: expected one or more, each an integer"),
        ({"seeds": ([1],)}, "seeds: expected one or more, each an integer"),
        ({"epochs": 0}, "epochs: expected an integer of 1 or more, got 0"),
        ({"epochs": 1.5}, "epochs: expected an integer of 1 or more, got 1.5"),
        ({"epochs": True}, "epochs: expected an integer of 1 or more, got True"),
        ({"epochs": None}, "epochs: expected an integer of 1 or more, got None"),
        ({"batch_size": 0}, "batch_size: expected an integer of 1 or more"),
        ({"max_prompt_tokens": "many"}, "max_prompt_tokens: expected an integer of 1 or more, got 'many'"),
        ({"train_per_task": 0}, "train_per_task: expected an integer of 1 or more"),
        ({"eval_per_task": -1}, "eval_per_task: expected an integer of 1 or more"),
        ({"learning_rate": 0}, "learning_rate: expected a positive number, got 0"),
        ({"learning_rate": float("nan")}, "learning_rate: expected a positive number, got nan"),
        ({"learning_rate": float("inf")}, "learning_rate: expected a positive number, got inf"),
        ({"learning_rate": "fast"}, "learning_rate: expected a positive number, got 'fast'"),
        ({"memory": 1.5}, "memory: expected a fraction from 0 to 1"),
        ({"memory": -1}, "memory: expected a fraction from 0 to 1"),
        ({"memory": "some"}, r"memory: expected a fraction from 0 to 1, .*, or a count \(8\), got 'some'"),
        ({"stream": "train"}, "stream: expected one of test, dev, got 'train'"),
        ({"precision": "fp8"}, "precision: expected one of bf16, fp16, fp32, got 'fp8'"),
        ({"fwt": "no"}, "fwt: expected true or false, got 'no'"),
        ({"strict": 1}, "strict: expected true or false, got 1"),
        ({"options": []}, r"options: expected arguments by strategy .*got \[\]"),
        ({"options": {"aim": 7}}, r"options: expected arguments by strategy .*got \{'aim': 7\}"),
        ({"options": {"ewc": {}}}, r"options: expected a strategy of the comparison \(naive, replay, aim\), got 'ewc'"),
        ({"options": {"aim": {"windw": 7}}}, "options of aim: expected some of .*learning.*; got windw"),
        ({"options": {"aim": {"learning": {"window": 0}}}}, "options of aim: .*window"),
        ({"options": {"aim": {"seed": float("nan")}}}, "options: expected texts, finite numbers"),
        ({"options": {"aim": {"schedule": object()}}}, "options: expected texts, finite numbers"),
        ({"max_grad_norm": float("inf")}, "max_grad_norm: expected a positive number or none, got inf"),
        ({"seeds": (-1,)}, r"seeds: expected .*of 0 or more, and below 2\^63, got \[-1\]"),
        ({"seeds": (2**63,)}, "seeds: expected .*of 0 or more"),
        ({"epochs": 10**400}, "epochs: expected an integer of 1 or more"),
        ({"warmup": 2**31}, "warmup: expected an integer of 0 or more"),
    ],
)
def test_a_bad_value_is_refused_with_what_was_expected(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        Configuration(**changes)


def test_it_cannot_be_changed_unchecked() -> None:
    with pytest.raises(FrozenInstanceError):
        Configuration().epochs = 0  # type: ignore[misc]


@pytest.mark.parametrize(("benchmark", "first"), [("standard_cl", "1"), ("long_sequence", "4"), ("superni", "1")])
def test_the_first_order_is_the_default(benchmark: str, first: str) -> None:
    assert Configuration(benchmark=benchmark, data="hub").orders == (first,)


def test_the_sample_is_the_default_data_of_standard_cl() -> None:
    assert Configuration().data == "sample"
    assert Configuration(data="hub").data == "hub"


def test_what_is_named_twice_counts_once() -> None:
    made = Configuration(orders=("2", "1", "2"), strategies=("aim", "naive", "aim"), seeds=(4, 3, 4))
    assert (made.orders, made.strategies, made.seeds) == (("2", "1"), ("aim", "naive"), (4, 3))


# From plain data


def test_a_single_value_need_not_stand_in_a_list() -> None:
    made = Configuration.of({"orders": 2, "strategies": "aim", "seeds": 3})
    assert (made.orders, made.strategies, made.seeds) == (("2",), ("aim",), (3,))


def test_an_unknown_name_is_refused_with_its_source_and_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"my.yaml: unknown epoch, lr; expected some of batch_size, .*epochs"):
        Configuration.of({"epoch": 3, "lr": 0.1, "seeds": 1}, "my.yaml")


def test_plain_data_makes_the_same_configuration_again() -> None:
    made = Configuration(orders=("2", "news,reviews"), seeds=(1, 2), options={"aim": {"preset": "economical"}})
    assert Configuration.of(json.loads(json.dumps(made.plain()))) == made


# Runs


def test_a_run_is_asked_for_what_all_share_and_its_own_options(configuration: Make) -> None:
    made = configuration(strategies=("aim", "naive"), options={"aim": {"preset": "economical"}})
    assert made.of_run("aim") == {**made.shared(), "options": {"preset": "economical"}}
    assert made.of_run("naive") == {**made.shared(), "options": {}}


def test_what_may_vary_in_a_folder_is_not_shared(configuration: Make) -> None:
    changes = {"orders": ("2",), "strategies": ("ewc",), "seeds": (7,), "fwt": True, "strict": True}
    assert configuration(**changes).shared() == configuration().shared()


@pytest.mark.parametrize(
    "change",
    [
        *({"epochs": 2}, {"batch_size": 2}, {"learning_rate": 0.1}, {"memory": 5}, {"train_per_task": 3}),
        *({"eval_per_task": 3}, {"stream": "dev"}, {"max_prompt_tokens": 64}, {"precision": "bf16"}, {"model": "x"}),
    ],
)
def test_what_changes_a_result_is_shared(change: dict[str, Any], configuration: Make) -> None:
    assert configuration(**change).shared() != configuration().shared()


def test_the_model_is_the_seed_s(configuration: Make) -> None:
    models = LanguageModels(configuration())
    weights = [list(models.model(seed).parameters()) for seed in (0, 1, 0)]
    assert all(map(torch.equal, weights[0], weights[2]))
    assert not all(map(torch.equal, weights[0], weights[1]))


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp32", None)])
def test_the_precision_is_the_model_s(precision: str, dtype: torch.dtype | None, configuration: Make) -> None:
    assert LanguageModels(configuration(precision=precision)).model(0).autocast == dtype


# Streams


@pytest.mark.parametrize("order", ["news,reviews", "news, reviews"])
def test_an_order_may_be_a_list_of_tasks(order: str, configuration: Make) -> None:
    stream = LanguageModels(configuration()).benchmark(order)
    assert [experience.task_name for experience in stream.train_stream] == ["news", "reviews"]
    assert [len(experience.dataset) for experience in stream.train_stream] == [8, 8]
    assert [len(experience.dataset) for experience in stream.test_stream] == [4, 4]


def test_a_stream_that_a_task_lacks_is_refused_with_those_there_are(
    configuration: Make, closed_tasks: list[TextTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_dev = [replace(task, dev=()) for task in closed_tasks]
    monkeypatch.setattr(models, "benchmark_tasks", lambda *arguments, **options: without_dev)
    made = configuration(stream="dev")
    with pytest.raises(ValueError, match="stream: some task has no dev split; there are train, test"):
        models.checked_benchmark(LanguageModels(made), "1", "dev")
