"""Measuring tasks while another one is trained on."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from avalanche.benchmarks import CLScenario
from probe import Probe

from avalanche_aim import LanguageModel, text_benchmark
from avalanche_aim.text import TextTask

Run = Callable[..., dict[str, torch.Tensor]]


@pytest.fixture
def benchmark(llama: LanguageModel, closed_tasks: list[TextTask]) -> CLScenario:
    return text_benchmark(closed_tasks, llama.tokenizer, cache=False)


@pytest.fixture
def train(llama: LanguageModel, benchmark: CLScenario, strategy_of: Callable[..., Any]) -> Run:
    """Train a fresh copy on the stream, always from the same seed; return its weights."""
    start = {name: value.clone() for name, value in llama.state_dict().items()}

    def run(*plugins: Any) -> dict[str, torch.Tensor]:
        llama.load_state_dict(start)
        torch.manual_seed(0)
        strategy = strategy_of(llama, plugins=list(plugins), train_epochs=2)
        for experience in benchmark.train_stream:
            strategy.train(experience)
        return {name: value.clone() for name, value in llama.state_dict().items()}

    return run


def test_training_goes_on_bit_for_bit_as_without_it(train: Run, benchmark: CLScenario) -> None:
    probed, plain = train(Probe(benchmark.test_stream, 1)), train()
    assert all(torch.equal(value, plain[name]) for name, value in probed.items())


def test_all_tasks_seen_so_far_are_measured_every_few_iterations(train: Run, benchmark: CLScenario) -> None:
    probe = Probe(benchmark.test_stream, 2)
    train(probe)
    places = [(record.experience, record.iteration, record.task) for record in probe.records]
    assert [place for place in places if place[0] == 0] == [(0, 2, 0), (0, 4, 0)]
    assert [place for place in places if place[0] == 1] == [(1, 2, 0), (1, 2, 1), (1, 4, 0), (1, 4, 1)]


@pytest.mark.parametrize("settings", [{"every": 0}, {"batch_size": 0}])
def test_settings_out_of_range_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="Probe: expected every and batch_size of 1 or more"):
        Probe([], **settings)
