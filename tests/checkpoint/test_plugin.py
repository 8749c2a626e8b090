"""When checkpoints are written, what is refused, and what happens where they can't be written."""

import errno
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from avalanche.training import AGEM, Cumulative, Naive
from avalanche.training.plugins import ReplayPlugin, SupervisedPlugin
from checkpoint_runs import ITERATIONS, Run, aim, names_in, small_network

from avalanche_aim import AIMMergingPlugin, CheckpointPlugin, DataOrder, RehearsalMemory
from avalanche_aim.checkpoint import CheckpointFolder, Damaged, folder, problem_with_strategy
from avalanche_aim.checkpoint import plugin as plugin_module


@pytest.fixture
def stream(three_tasks: Any) -> Any:
    return three_tasks.train_stream[:2]


class Written:
    """Keeps where checkpoints are written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.places: list[tuple[int, int]] = []
        save = CheckpointFolder.save

        def watched(folder: Any, state: Any, experience: int, iteration: int) -> Path:
            self.places.append((experience, iteration))
            return save(folder, state, experience, iteration)

        monkeypatch.setattr(CheckpointFolder, "save", watched)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    return Written(monkeypatch)


BORDERS = [(0, 0), (0, ITERATIONS), (1, 0), (1, ITERATIONS)]


def test_the_begin_and_the_end_of_each_experience_are_saved(stream: Any, tmp_path: Path, written: Written) -> None:
    Run(stream).train(CheckpointPlugin(tmp_path, minutes=None))
    assert written.places == BORDERS


def test_every_few_iterations_are_saved(stream: Any, tmp_path: Path, written: Written) -> None:
    Run(stream).train(CheckpointPlugin(tmp_path, every=3, minutes=None))
    assert written.places == sorted([*BORDERS, (0, 3), (0, 6), (1, 3), (1, 6)])


def test_the_time_budget_counts_from_the_last_checkpoint(
    stream: Any, tmp_path: Path, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(0, 10**6, 10))  # each look at the clock is ten seconds after the one before
    monkeypatch.setattr(plugin_module, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    Run(stream[:1]).train(CheckpointPlugin(tmp_path, minutes=0.5))
    # The clock is looked at before each batch, and where an epoch has none left: twice at the border after iteration 4.
    assert written.places == [(0, 0), (0, 3), (0, 5), (0, ITERATIONS)]


@pytest.mark.parametrize("settings", [{"every": 0}, {"every": -1}, {"minutes": 0.0}, {"minutes": float("nan")}])
def test_an_interval_that_is_not_positive_is_refused(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a positive number or None, got"):
        CheckpointPlugin(tmp_path, **settings)


def test_the_last_two_are_kept(stream: Any, tmp_path: Path) -> None:
    Run(stream).train(CheckpointPlugin(tmp_path))
    assert names_in(tmp_path) == ["checkpoint-0001-00000000", f"checkpoint-0001-{ITERATIONS:08d}"]


def test_a_finished_run_ends_the_same_when_started_again(
    stream: Any, tmp_path: Path, same: Callable[..., bool]
) -> None:
    run = Run(stream, aim)
    first = run.train(CheckpointPlugin(tmp_path))
    assert same(run.train(CheckpointPlugin(tmp_path)), first)


def test_the_frozen_weights_and_the_data_are_not_in_it(stream: Any, tmp_path: Path) -> None:
    def model() -> torch.nn.Module:
        network = small_network()
        network[0].requires_grad_(False)
        return network

    Run(stream, model=model).train(CheckpointPlugin(tmp_path))
    checkpoint = CheckpointFolder(tmp_path).newest()
    assert checkpoint is not None
    weights = checkpoint.state(torch.device("cpu"))["model"]
    assert "1.running_mean" in weights
    assert "4.weight" in weights
    assert not [name for name in weights if name.startswith("0.")]


def test_weights_that_were_frozen_on_the_way_are_kept(three_tasks: Any, tmp_path: Path) -> None:
    class Freeze(SupervisedPlugin):
        def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
            strategy.model[0].requires_grad_(strategy.experience.current_experience == 0)

    Run(three_tasks.train_stream, Freeze).train(CheckpointPlugin(tmp_path))
    checkpoint = CheckpointFolder(tmp_path).newest()
    assert checkpoint is not None
    assert "0.weight" in checkpoint.state(torch.device("cpu"))["model"]


# What is refused


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


def test_a_plugin_with_a_state_dict_goes_on_where_it_was(three_tasks: Any, tmp_path: Path) -> None:
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
        (Cumulative, {}, "the strategy Cumulative keeps what a checkpoint doesn't know (dataset)"),
        (AGEM, {"patterns_per_exp": 4, "sample_size": 4}, "AGEMPlugin keeps what a checkpoint doesn't know"),
    ],
)
def test_strategies_that_cannot_be_kept_say_so(
    template: type, arguments: dict[str, Any], message: str, stream: Any
) -> None:
    strategy = Run(stream, template=template, **arguments).strategy()
    assert message in str(problem_with_strategy(strategy))


def test_a_buffer_of_avalanches_own_is_refused_with_the_remedy(stream: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ExperienceBalancedBuffer.*storage_policy=RehearsalMemory"):
        Run(stream, lambda: ReplayPlugin(20)).train(CheckpointPlugin(tmp_path))


def test_a_memory_that_was_filled_before_is_refused(stream: Any, tmp_path: Path) -> None:
    memory = RehearsalMemory(4)
    memory.add(stream[0].dataset)
    with pytest.raises(ValueError, match="empty memories"):
        Run(stream, lambda: aim(memory=memory)).train(CheckpointPlugin(tmp_path))


def test_a_memory_that_is_filled_otherwise_on_the_way_is_refused(stream: Any, tmp_path: Path) -> None:
    checkpoint, run = CheckpointPlugin(tmp_path), Run(stream, aim)
    strategy = run.strategy(checkpoint)
    with pytest.raises(ValueError, match="memory: expected one share of each of the 1 experiences before"):
        for experience in checkpoint.resume(strategy, stream):
            strategy.train(experience)
            next(p for p in strategy.plugins if isinstance(p, AIMMergingPlugin)).memory.add(experience.dataset)


OTHER: dict[str, tuple[Callable[[Any], Run], str]] = {
    "plugins": (lambda s: Run(s), r"plugins was \['DataOrder', 'AIMMergingPlugin', .*, is \['DataOrder', 'Eval"),
    "batch size": (lambda s: Run(s, aim, train_mb_size=4), "train_mb_size was 8, is 4"),
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


def reseal(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the state of a checkpoint, and let its manifest say that this was written."""
    state = json.loads((path / "state.json").read_text())
    change(state)
    content = json.dumps(state).encode()
    (path / "state.json").write_bytes(content)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["files"]["state.json"] = {"bytes": len(content), "sha256": folder._sha256(content)}
    (path / "manifest.json").write_text(json.dumps(manifest))


NONSENSE: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no identity": (lambda s: s.update(identity=[]), "AttributeError"),
    "experience": (lambda s: s.update(experience=-1), "experience: expected a whole number from 0 to 1, got -1"),
    "epoch": (lambda s: s.update(epoch=2), "epoch: expected a whole number from 0 to 1, got 2"),
    "batch": (lambda s: s.update(batch=1.0), "batch: expected a whole number"),
    "next": (lambda s: s.update(next={"$array": "model.0.weight"}), "next: expected a batch's checksum"),
    "order": (lambda s: s["epoch_start"].pop("torch"), "KeyError"),
    "weights": (lambda s: s["model"].update(other=s["model"]["0.weight"]), "got one with other weights: other"),
    "optimizer": (lambda s: s["optimizer"].update(groups=None), "TypeError"),
    "rate": (lambda s: s["optimizer"]["groups"][0].update(lr="a"), "expected learning rates that are numbers"),
    "memory": (lambda s: s["memories"].append({}), "ValueError"),
    "plugin": (lambda s: s["plugins"].insert(0, ["Other", {}]), "plugins: expected Other"),
    "history": (lambda s: s["plugins"][1][1]["history"].clear(), "expected a history"),
}


@pytest.mark.parametrize("what", NONSENSE)
def test_a_state_that_is_none_of_this_run_is_refused_in_spite_of_its_checksum(
    what: str, stream: Any, tmp_path: Path
) -> None:
    Run(stream, aim).train(CheckpointPlugin(tmp_path))
    change, said = NONSENSE[what]
    newest = tmp_path / names_in(tmp_path)[-1]
    reseal(newest, change)
    with pytest.raises(
        Damaged, match=rf"{newest.name}: expected a state of this run, got something else \(.*{said}"
    ) as e:
        Run(stream, aim).train(CheckpointPlugin(tmp_path))
    assert e.value.__cause__ is not None


def test_more_batches_than_there_are_end_in_an_error(stream: Any, tmp_path: Path) -> None:
    Run(stream, aim).train(CheckpointPlugin(tmp_path))
    (tmp_path / names_in(tmp_path)[-1]).rename(tmp_path / "aside")  # the end has no next batch
    reseal(tmp_path / names_in(tmp_path)[-1], lambda state: state.update(batch=2**62))
    with pytest.raises(ValueError, match="expected the data loader to come to the same batch again"):
        Run(stream, aim).train(CheckpointPlugin(tmp_path))


def test_memory_that_runs_out_is_no_damage(stream: Any, tmp_path: Path) -> None:
    class Large(SupervisedPlugin):
        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            raise torch.OutOfMemoryError("out of memory")

    Run(stream, Large).train(CheckpointPlugin(tmp_path))
    with pytest.raises(torch.OutOfMemoryError):
        Run(stream, Large).train(CheckpointPlugin(tmp_path))


def test_what_the_user_says_of_a_run_must_be_the_same(stream: Any, tmp_path: Path) -> None:
    Run(stream).train(CheckpointPlugin(tmp_path, about={"data": "v1", "sizes": (1, 2)}))
    Run(stream).train(CheckpointPlugin(tmp_path, about={"data": "v1", "sizes": (1, 2)}))
    with pytest.raises(ValueError, match=r"about\.data was 'v1', is 'v2'"):
        Run(stream).train(CheckpointPlugin(tmp_path, about={"data": "v2", "sizes": (1, 2)}))


def test_another_version_of_a_library_is_said(stream: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Run(stream).train(CheckpointPlugin(tmp_path))
    monkeypatch.setattr(plugin_module, "_versions", lambda: {"torch": "99.0"})
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


# A disk that is full


def test_where_nothing_can_be_written_training_goes_on_and_says_so_once(
    stream: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same: Callable[..., bool]
) -> None:
    whole = Run(stream, aim).train(CheckpointPlugin(tmp_path / "whole"))

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(folder, "_write", full)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outcome = Run(stream, aim).train(CheckpointPlugin(tmp_path / "full", every=1))
    said = [str(w.message) for w in caught if "no checkpoint could be written" in str(w.message)]
    assert len(said) == 1
    assert "No space left on device" in said[0]
    assert same(outcome, whole)
    assert not list((tmp_path / "full").iterdir())


def test_a_folder_that_cannot_be_made_is_said_too(stream: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="no checkpoint could be written"):
        Run(stream).train(CheckpointPlugin(tmp_path / "file" / "checkpoints"))


def test_a_damaged_checkpoint_is_passed_over_and_the_end_is_the_same(
    stream: Any, tmp_path: Path, same: Callable[..., bool]
) -> None:
    run = Run(stream, aim)
    whole = run.train(CheckpointPlugin(tmp_path, every=3))
    newest = tmp_path / names_in(tmp_path)[-1]
    (newest / "tensors.safetensors").write_bytes(b"")
    with pytest.warns(UserWarning, match=rf"{newest.name}.tensors.safetensors: expected .* bytes, got 0"):
        assert same(run.train(CheckpointPlugin(tmp_path)), whole)


# The order of data


def rows_seen(stream: Any, order: DataOrder, dropout: float, **settings: Any) -> dict[str, Any]:
    """Train, and return which rows came when, which are rehearsed, and what monitoring saw of the rows."""

    class Rows(SupervisedPlugin):
        seen: list[Any] = []  # noqa: RUF012

        def before_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
            self.seen.append(strategy.mb_x.sum(1).tolist())

    Rows.seen = []
    plugin = aim(**settings)
    monitored: list[Any] = []
    batch = plugin.memory.batch
    plugin.memory.batch = lambda size, generator: (
        monitored.append(batch(size, generator)[0])
        or batch(  # type: ignore
            size, torch.Generator().manual_seed(0)
        )
    )
    model = small_network()
    model[3].p = dropout
    run = Run(stream, lambda: order, Rows, lambda: plugin, model=lambda: model)
    strategy = run.strategy()
    for experience in stream:
        strategy.train(experience)
    return {"order": Rows.seen, "memory": plugin.memory.selected, "monitored": [x.tolist() for x in monitored]}


def test_data_order_memory_and_monitoring_do_not_depend_on_dropout(stream: Any) -> None:
    plain, more = (rows_seen(stream, DataOrder(0), dropout) for dropout in (0.0, 0.5))
    assert plain == more


def test_the_seed_of_the_data_order_changes_the_order_alone(stream: Any) -> None:
    first, second = (rows_seen(stream, DataOrder(seed), 0.0) for seed in (0, 1))
    assert first["order"] != second["order"]
    assert (first["memory"], first["monitored"]) == (second["memory"], second["monitored"])


def test_the_memorys_seed_leaves_the_order_alone(stream: Any) -> None:
    first, second = (rows_seen(stream, DataOrder(0), 0.5, memory=RehearsalMemory(8, seed)) for seed in (0, 1))
    assert first["memory"] != second["memory"]
    assert first["order"] == second["order"]


def test_the_seed_of_monitoring_leaves_order_and_memory_alone(stream: Any) -> None:
    first, second = (rows_seen(stream, DataOrder(0), 0.5, memory=RehearsalMemory(8), seed=seed) for seed in (0, 1))
    assert first["monitored"] != second["monitored"]
    assert (first["memory"], first["order"]) == (second["memory"], second["order"])


def test_a_loader_that_is_taken_over_is_itself_in_all_else(stream: Any) -> None:
    lengths: list[Any] = []

    class Look(SupervisedPlugin):
        def before_training_iteration(self, strategy: Any, **kwargs: Any) -> None:
            lengths.append((len(strategy.dataloader), strategy.dataloader.batch_size))

    Run(stream, DataOrder, Look).strategy().train(stream[0])
    assert set(lengths) == {(4, 8)}


def test_the_manifest_is_small_and_readable(stream: Any, tmp_path: Path) -> None:
    Run(stream, aim).train(CheckpointPlugin(tmp_path))
    manifest = json.loads((tmp_path / names_in(tmp_path)[-1] / "manifest.json").read_text())
    assert manifest["format"] == 1
    assert set(manifest["files"]) == {"state.json", "tensors.safetensors"}
