"""What is refused: checkpoints of another run, and runs that cannot be kept whole."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from avalanche.benchmarks.utils import as_classification_dataset
from avalanche.training import AGEM, Cumulative, Naive
from avalanche.training.plugins import ReplayPlugin, SupervisedPlugin
from avalanche.training.storage_policy import ParametricBuffer, ReservoirSamplingBuffer
from checkpoint_runs import ITERATIONS, Run, aim, names_in

from avalanche_aim import CheckpointPlugin, RehearsalMemory
from avalanche_aim.checkpoint import plugin as plugin_module
from avalanche_aim.checkpoint import problem_with_strategy


def test_training_outside_resume_is_refused(stream: Any, tmp_path: Path) -> None:
    strategy = Run(stream).strategy(CheckpointPlugin(tmp_path))
    with pytest.raises(ValueError, match=r"for experience in checkpoint\.resume\(strategy, stream\)"):
        strategy.train(stream[0])


def test_a_strategy_without_the_plugin_is_refused(stream: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected this plugin among the strategy's"):
        next(CheckpointPlugin(tmp_path).resume(Run(stream).strategy(), stream))


def test_a_strategy_that_was_trained_is_refused(stream: Any, tmp_path: Path) -> None:
    checkpoint = CheckpointPlugin(tmp_path)
    strategy = Run(stream).strategy(checkpoint)
    for experience in checkpoint.resume(strategy, stream):
        strategy.train(experience)
    with pytest.raises(ValueError, match="expected a fresh strategy"):
        next(checkpoint.resume(strategy, stream))


class Counting(SupervisedPlugin):
    def __init__(self) -> None:
        super().__init__()
        self.iterations = 0

    def after_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
        self.iterations += 1


def test_a_plugin_with_unknown_state_is_refused_before_training(stream: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Counting keeps what a checkpoint doesn't know; give it state_dict\(\) and"):
        Run(stream, Counting).train(CheckpointPlugin(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_plugin_with_a_state_dict_resumes_where_it_was(three_tasks: Any, tmp_path: Path) -> None:
    class Saved(Counting):
        def state_dict(self) -> dict[str, Any]:
            return {"iterations": self.iterations}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.iterations = state["iterations"]

    run = Run(three_tasks.train_stream, Saved)
    run.every_iteration(tmp_path / "all")
    (tmp_path / "one").mkdir()
    name = names_in(tmp_path / "all")[ITERATIONS + 4]
    (tmp_path / "all" / name).rename(tmp_path / "one" / name)
    checkpoint = CheckpointPlugin(tmp_path / "one")
    strategy = run.strategy(checkpoint)
    for experience in checkpoint.resume(strategy, run.stream):
        strategy.train(experience)
    assert strategy.plugins[1].iterations == 3 * ITERATIONS


@pytest.mark.parametrize(
    ("template", "arguments", "message"),
    [
        (type("Mine", (Cumulative,), {}), {}, "the strategy Mine keeps what a checkpoint doesn't know (dataset)"),
        (AGEM, {"patterns_per_exp": 4, "sample_size": 4}, "AGEMPlugin keeps what a checkpoint doesn't know"),
    ],
)
def test_strategies_that_cannot_be_kept_say_so(
    template: type, arguments: dict[str, Any], message: str, stream: Any
) -> None:
    strategy = Run(stream, template=template, **arguments).strategy()
    assert message in str(problem_with_strategy(strategy))


def test_a_buffer_that_is_not_known_is_refused_with_the_remedy(stream: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"rehearses from ParametricBuffer.*storage_policy=RehearsalMemory"):
        Run(stream, lambda: ReplayPlugin(20, storage_policy=ParametricBuffer(20))).train(CheckpointPlugin(tmp_path))


def test_a_buffer_of_other_rows_than_the_streams_is_refused(stream: Any, tmp_path: Path) -> None:
    buffer = ReservoirSamplingBuffer(4)
    data = torch.utils.data.TensorDataset(torch.zeros(4, 8), torch.zeros(4, dtype=torch.long))
    data.targets = [0] * 4
    buffer.update_from_dataset(as_classification_dataset(data))
    with pytest.raises(ValueError, match="expected a buffer of the stream's own rows"):
        Run(stream, lambda: ReplayPlugin(4, storage_policy=buffer)).train(CheckpointPlugin(tmp_path))


def test_a_memory_that_was_filled_before_is_refused(stream: Any, tmp_path: Path) -> None:
    memory = RehearsalMemory(4)
    memory.add(stream[0].dataset)
    with pytest.raises(ValueError, match="empty memories"):
        Run(stream, lambda: aim(memory=memory)).train(CheckpointPlugin(tmp_path))


OTHER: dict[str, tuple[Callable[[Any], Run], str]] = {
    "plugins": (lambda s: Run(s), r"plugins was \['DataOrder', 'AIMMergingPlugin', .*, is \['DataOrder', 'Eval"),
    "batch size": (lambda s: Run(s, aim, train_mb_size=4), "batch_size was 8, is 4"),
    "epochs": (lambda s: Run(s, aim, train_epochs=3), "train_epochs was 2, is 3"),
    "stream": (lambda s: Run(s[:1], aim), r"experiences was \["),
    "order of the stream": (lambda s: Run([s[1], s[0]], aim), r"experiences was \["),
    "learning rate": (lambda s: Run(s, aim, optimizer=lambda w: torch.optim.Adam(w, 1e-3)), "lr': 0.01"),
    "optimizer": (lambda s: Run(s, aim, optimizer=lambda w: torch.optim.SGD(w, 1e-2)), r"optimizer was \['Adam'"),
    "model": (lambda s: Run(s, aim, model=lambda: torch.nn.Linear(8, 6)), r"weights\.0\.weight was \["),
    "strategy": (lambda s: Run(s, aim, template=type("Mine", (Naive,), {})), "strategy was 'Naive', is 'Mine'"),
}


@pytest.mark.parametrize("other", OTHER)
def test_checkpoints_of_another_run_are_refused(other: str, stream: Any, tmp_path: Path) -> None:
    Run(stream, aim).train(CheckpointPlugin(tmp_path))
    before = names_in(tmp_path)
    make, difference = OTHER[other]
    with pytest.raises(ValueError, match=rf"holds checkpoints of another run: (?s:.*){difference}"):
        make(stream).train(CheckpointPlugin(tmp_path))
    assert names_in(tmp_path) == before


def test_what_the_user_says_of_a_run_must_be_the_same(stream: Any, tmp_path: Path) -> None:
    Run(stream).train(CheckpointPlugin(tmp_path, about={"data": "v1", "sizes": (1, 2)}))
    Run(stream).train(CheckpointPlugin(tmp_path, about={"data": "v1", "sizes": (1, 2)}))
    with pytest.raises(ValueError, match=r"about\.data was 'v1', is 'v2'"):
        Run(stream).train(CheckpointPlugin(tmp_path, about={"data": "v2", "sizes": (1, 2)}))


def test_another_version_of_a_library_is_said(stream: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Run(stream).train(CheckpointPlugin(tmp_path))
    monkeypatch.setattr(plugin_module, "versions", lambda: {"torch": "99.0"})
    with pytest.warns(UserWarning, match=r"this is \{'torch': '99\.0'\}: .* perhaps not to the same bits"):
        Run(stream).train(CheckpointPlugin(tmp_path))


def test_a_loader_with_a_generator_of_its_own_is_found_out(stream: Any, tmp_path: Path) -> None:
    class Loader(SupervisedPlugin):
        def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
            data = strategy.adapted_dataset
            rows = torch.utils.data.RandomSampler(data, generator=torch.Generator().manual_seed(next(seeds)))
            strategy.dataloader = torch.utils.data.DataLoader(data, batch_size=8, sampler=rows)

    seeds = iter(range(100))
    Run(stream, Loader).train(CheckpointPlugin(tmp_path))
    (tmp_path / names_in(tmp_path)[-1]).rename(tmp_path / "aside")  # the end has no next batch
    with pytest.raises(ValueError, match="expected the data loader to come to the same batch again, got another one"):
        Run(stream, Loader).train(CheckpointPlugin(tmp_path))


def test_other_data_with_the_same_targets_are_found_out(stream: Any, tmp_path: Path) -> None:
    class Shift(SupervisedPlugin):
        def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
            data = [(x + shift, y) for x, y, *_ in strategy.adapted_dataset]
            strategy.dataloader = torch.utils.data.DataLoader(data, batch_size=8, shuffle=True)

    shift = 0.0
    Run(stream, Shift).train(CheckpointPlugin(tmp_path))
    (tmp_path / names_in(tmp_path)[-1]).rename(tmp_path / "aside")
    shift = 1.0
    with pytest.raises(ValueError, match="either the data has changed"):
        Run(stream, Shift).train(CheckpointPlugin(tmp_path))
