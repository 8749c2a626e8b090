"""The digits stream."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits

from avalanche_aim.beds import DIGITS, Head, LabelScores, digits
from avalanche_aim.evaluation import ResultMatrix


def test_a_task_has_two_classes_of_its_own() -> None:
    benchmark = digits(2)
    assert [e.task_name for e in benchmark.train_stream] == list(DIGITS["descending"])
    for stream in benchmark.streams.values():
        assert [sorted(set(map(int, e.dataset.targets))) for e in stream] == [[8, 9], [6, 7], [4, 5], [2, 3], [0, 1]]
    assert benchmark.labels[4] == "four"


def test_every_image_is_in_one_split_of_one_task() -> None:
    streams = digits().streams.values()
    images = torch.cat([row[0] for stream in streams for e in stream for row in e.dataset]).flatten(1)
    expected = torch.from_numpy(load_digits().data).float() / 16
    assert images.shape == expected.shape == (1797, 64)
    assert torch.equal(images[_order(images)], expected[_order(expected)])


def _order(rows: torch.Tensor) -> list[int]:
    return sorted(range(len(rows)), key=rows.tolist().__getitem__)


def test_a_limit_keeps_the_classes_even() -> None:
    benchmark = digits(train_per_task=10, eval_per_task=4)
    for stream, size in (("train", 10), ("dev", 4), ("test", 4)):
        for number, experience in enumerate(benchmark.streams[stream]):
            targets = list(map(int, experience.dataset.targets))
            assert sorted(targets) == [2 * number] * (size // 2) + [2 * number + 1] * (size // 2)


def test_another_seed_is_another_split() -> None:
    first, again, other = (digits(seed=seed).train_stream[0].dataset[0][0] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_head_takes_images() -> None:
    benchmark = digits()
    rows = torch.stack([benchmark.test_stream[0].dataset[i][0] for i in range(3)])
    assert rows.shape == (3, 1, 8, 8)
    assert Head.of(benchmark)(rows).shape == (3, 10)


def test_a_head_learns_a_task_and_its_share_of_right_answers_is_the_score(strategy_of: Callable[..., Any]) -> None:
    benchmark = digits()
    model, matrix = Head.of(benchmark), ResultMatrix("dev", LabelScores())
    strategy = strategy_of(model, matrix, criterion=model.criterion, rate=1e-2)
    strategy.train(benchmark.train_stream[0])
    strategy.eval(benchmark.dev_stream)
    assert matrix.rows[0][0] > 95
    assert matrix.rows[0][1:] == [0.0] * 4  # their classes were never seen, and all classes compete


@pytest.mark.parametrize(
    ("order", "settings", "message"),
    [
        (4, {}, "order: expected one of 1, 2, 3"),
        (["one-two"], {}, "expected tasks of zero-one, .*; got one-two"),
        (1, {"train_per_task": 0}, "train_per_task: expected at least 1"),
        (1, {"eval_per_task": -1}, "eval_per_task: expected at least 1"),
    ],
)
def test_what_is_no_order_or_size_is_refused(order: Any, settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        digits(order, **settings)
