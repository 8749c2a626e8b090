"""Batches of examples of like length."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from avalanche.training.plugins import ReplayPlugin, SupervisedPlugin
from torch import Tensor

from avalanche_aim import AIMMergingPlugin, LanguageModel, TextTask, text_benchmark
from avalanche_aim.text.stream.encoding import LENGTHS
from avalanche_aim.text.stream.length_grouping import LengthGrouping, lengths_of
from benchmarks.padding import padding_share


class Seen(SupervisedPlugin):
    """Keeps the rows of each training batch."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Tensor] = []

    def before_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.batches.append(strategy.mb_x.clone())

    def lengths(self) -> list[Tensor]:
        return [batch[:, LENGTHS] for batch in self.batches]


@pytest.fixture
def varied() -> TextTask:
    """Return a task whose prompts have 1 to 40 words, in no order."""
    pairs = [("word " * (1 + 17 * i % 40), "yes" if i % 2 else "no") for i in range(96)]
    return TextTask.from_lists("varied", train=pairs, test=pairs[:2])


@pytest.fixture
def train(llama: LanguageModel, varied: TextTask, strategy_of: Callable[..., Any]) -> Callable[..., Seen]:
    """Train an epoch or more with plugins; return what was seen."""

    def run(*plugins: Any, epochs: int = 1) -> Seen:
        torch.manual_seed(0)
        seen = Seen()
        strategy = strategy_of(llama, plugins=[*plugins, seen], train_epochs=epochs)
        strategy.train(text_benchmark([varied], llama.tokenizer, cache=False).train_stream[0])
        return seen

    return run


def test_every_example_is_drawn_once_an_epoch(train: Callable[..., Seen]) -> None:
    plain, grouped = train(), train(LengthGrouping())
    assert len(grouped.batches) == len(plain.batches) == 24
    rows = [sorted(map(tuple, torch.cat(seen.batches).tolist())) for seen in (plain, grouped)]
    assert rows[0] == rows[1]


def test_like_lengths_leave_less_padding(train: Callable[..., Seen]) -> None:
    assert padding_share(train(LengthGrouping()).lengths()) < 0.5 * padding_share(train().lengths())


def test_each_epoch_has_an_order_of_its_own(train: Callable[..., Seen]) -> None:
    batches = train(LengthGrouping(), epochs=2).batches
    assert not torch.equal(torch.cat(batches[:24]), torch.cat(batches[24:]))


def test_the_seed_decides_the_order(train: Callable[..., Seen]) -> None:
    first, same, other = (torch.cat(train(LengthGrouping(seed)).batches) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_aim_merges_beside_it(
    llama: LanguageModel, closed_tasks: list[TextTask], strategy_of: Callable[..., Any]
) -> None:
    aim = AIMMergingPlugin("paper", memory=4)
    strategy = strategy_of(llama, plugins=[LengthGrouping(), aim], train_epochs=4)
    for experience in text_benchmark(closed_tasks, llama.tokenizer, cache=False).train_stream:
        strategy.train(experience)
    assert aim.history.merges


def test_a_plugin_that_mixes_batches_itself_is_refused(train: Callable[..., Seen]) -> None:
    class Mixing(SupervisedPlugin):
        def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
            strategy.dataloader = ReplayPlugin  # anything but a loader of the strategy's

    with pytest.raises(ValueError, match=r"expected the strategy's own data loader, got .* leave one of the two out"):
        train(Mixing(), LengthGrouping())


def test_padding_is_counted_for_prompts_and_answers_apart() -> None:
    batches = [torch.tensor([[4, 1], [2, 3]]), torch.tensor([[5, 5]])]
    assert padding_share(batches) == pytest.approx(1 - 20 / (2 * (4 + 3) + 10))


def test_lengths_are_those_of_prompt_and_answer(llama: LanguageModel, varied: TextTask) -> None:
    benchmark = text_benchmark([varied], llama.tokenizer, cache=False)
    lengths = lengths_of(benchmark.train_stream[0].dataset)
    rows = [benchmark.train_stream[0].dataset[i][0] for i in range(96)]
    assert lengths.tolist() == [[int(row[2]), int(row[3])] for row in rows]
