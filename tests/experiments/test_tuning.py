"""Tuning: which runs are made, what is chosen, and how the choices are used. Nothing is trained."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock
from staged import Stage

from avalanche_aim.experiments import Comparison, Configuration, Key, Result, comparison, tuning
from avalanche_aim.experiments.models import checked_benchmark
from avalanche_aim.experiments.tuned import Choice, Tuned
from avalanche_aim.experiments.tuning import Tuning

Tune = Callable[..., Tuned]


class Scores:
    """Stands for training: a run's score is best at a strategy's own best learning rate and setting."""

    def __init__(self) -> None:
        self.best: dict[str, float] = {"naive": 2e-3, "replay": 4e-3}
        self.runs: list[tuple[str, float, dict[str, Any], int]] = []
        self.failing: set[float] = set()
        self.interrupt_after: int | None = None
        self.bonus: dict[str, Callable[[dict[str, Any]], float]] = {}

    def run(self, key: Key, model: Any, stream: Any, settings: Any, result_of: Any, **chosen: Any) -> Result:
        if self.interrupt_after is not None and len(self.runs) >= self.interrupt_after:
            raise KeyboardInterrupt
        options = dict(chosen["options"] or {})
        self.runs.append((key.strategy, settings.learning_rate, options, key.seed))
        assert settings.stream == "dev"
        if settings.learning_rate in self.failing:
            raise FloatingPointError("too fast")
        ratio = settings.learning_rate / self.best[key.strategy]
        score = 50 * min(ratio, 1 / ratio) + self.bonus.get(key.strategy, lambda options: 0.0)(options) + key.seed
        return result_of(key.strategy, key.seed, r=((score,), (score, score)), order=key.order)

    def tried(self, name: str) -> list[float]:
        return sorted({rate for strategy, rate, _, _ in self.runs if strategy == name})


@pytest.fixture(scope="module")
def read() -> Callable[..., Any]:
    """Read each benchmark once: a tuning reads the same one for each of its trials."""
    benchmarks: dict[Any, Any] = {}

    def checked(kind: Any, order: str, stream: str) -> Any:
        asked = kind.configuration
        sizes = asked.train_per_task, asked.eval_per_task, asked.max_prompt_tokens
        key = (order, stream, asked.data, asked.benchmark, *sizes)
        if key not in benchmarks:
            benchmarks[key] = checked_benchmark(kind, order, stream)
        return benchmarks[key]

    return checked


@pytest.fixture
def scores(stage: Stage, monkeypatch: pytest.MonkeyPatch, result_of: Any, read: Callable[..., Any]) -> Scores:
    monkeypatch.setattr(comparison, "checked_benchmark", read)
    made = Scores()
    monkeypatch.setattr(comparison, "run", lambda *a, **k: made.run(*a, result_of, **k))
    return made


@pytest.fixture
def tune(configuration: Callable[..., Configuration], tmp_path: Path, scores: Scores) -> Tune:
    def run(rates: Any = (1e-3, 2e-3, 4e-3), folder: Path = tmp_path / "tuning", **settings: Any) -> Tuned:
        names = ("own", "extend", "tell")
        own = {name: settings.pop(name) for name in names if name in settings}
        tell = {"tell": own.pop("tell")} if "tell" in own else {}
        asked = configuration(**{"strategies": ("naive", "replay"), "stream": "dev", **settings})
        return Tuning(asked, folder, rates, **own).run(progress=False, **tell)

    return run


# Choosing


def test_the_rate_of_highest_mean_score_is_chosen_for_each_strategy(tune: Tune) -> None:
    choices = tune((1e-3, 2e-3, 4e-3, 8e-3), own=False, seeds=(0, 1)).choices
    assert {name: choice.learning_rate for name, choice in choices.items()} == {"naive": 2e-3, "replay": 4e-3}
    assert [trial.op for trial in choices["naive"].trials] == pytest.approx([25.5, 50.5, 25.5, 13.0])


def test_the_grid_grows_for_all_where_one_does_best_at_its_edge(tune: Tune, scores: Scores) -> None:
    said: list[str] = []
    choices = tune(own=False, tell=said.append).choices
    assert scores.tried("naive") == scores.tried("replay") == [1e-3, 2e-3, 4e-3, 8e-3]
    assert any("replay: best at the edge of the grid; it grows by 0.008" in line for line in said)
    assert not any(choice.at_edge for choice in choices.values())


def test_it_grows_at_both_ends(tune: Tune, scores: Scores) -> None:
    scores.best = {"naive": 2e-4, "replay": 4e-3}
    tune((1e-3, 2e-3), own=False, extend=2)
    assert scores.tried("naive") == [2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3, 8e-3]


def test_a_choice_that_stays_at_the_edge_says_so(tune: Tune, scores: Scores) -> None:
    scores.best["naive"] = 1.0
    choices = tune(own=False, extend=1).choices
    assert (choices["naive"].at_edge, choices["replay"].at_edge) == (True, False)


def test_all_strategies_have_the_same_number_of_runs(tune: Tune, scores: Scores) -> None:
    choices = tune(seeds=(0, 1)).choices
    counts = {name: sum(trial.runs for trial in choice.trials) for name, choice in choices.items()}
    assert counts == {"naive": 2 * (4 + 2), "replay": 2 * (4 + 2)}
    assert len(scores.runs) == 24


def test_a_strategy_tries_its_own_setting_at_its_best_rate(tune: Tune, scores: Scores) -> None:
    scores.bonus["replay"] = lambda options: 5.0 if options.get("share") == 0.25 else 0.0
    choice = tune().choices["replay"]
    assert [run[2] for run in scores.runs if run[0] == "replay" and run[1] == 4e-3] == [
        {},
        {"share": 0.1},
        {"share": 0.25},
    ]
    assert (choice.learning_rate, choice.options) == (4e-3, {"share": 0.25})


def test_a_strategy_without_one_tries_finer_rates(tune: Tune, scores: Scores) -> None:
    scores.best["naive"] = 2.7e-3
    assert tune().choices["naive"].learning_rate == pytest.approx(2.83e-3)
    assert scores.tried("naive") == [1e-3, 1.41e-3, 2e-3, 2.83e-3, 4e-3, 8e-3]


def test_a_setting_that_is_given_is_not_tuned(tune: Tune, scores: Scores) -> None:
    choice = tune(options={"replay": {"share": 0.4}}).choices["replay"]
    assert {run[2]["share"] for run in scores.runs if run[0] == "replay"} == {0.4}
    assert choice.options == {}


def test_a_rate_at_which_a_run_fails_is_not_chosen(tune: Tune, scores: Scores) -> None:
    scores.failing = {4e-3, 8e-3}
    choice = tune(own=False).choices["replay"]
    assert choice.learning_rate == 2e-3
    assert [trial.op is None for trial in choice.trials] == [False, False, True]


# Going on


def test_an_interrupted_tuning_loses_no_finished_run(tune: Tune, scores: Scores) -> None:
    scores.interrupt_after = 5
    with pytest.raises(KeyboardInterrupt):
        tune()
    scores.interrupt_after = None
    tune()
    assert len(scores.runs) == len({(name, rate, json.dumps(options)) for name, rate, options, _ in scores.runs}) == 12


def test_a_run_that_another_command_is_making_is_waited_for(
    tune: Tune, scores: Scores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "tuning" / "learning_rate-0.002" / "runs"
    runs.mkdir(parents=True)
    elsewhere = FileLock(runs / f"{Key('naive', 'news,reviews', 0).stem}.lock")
    elsewhere.acquire()
    waited: list[float] = []
    sleep = SimpleNamespace(sleep=lambda seconds: waited.append(seconds) or elsewhere.release())
    monkeypatch.setattr(tuning, "time", sleep)
    assert tune(own=False).choices["naive"].learning_rate == 2e-3
    assert len(waited) == 1


def test_the_result_is_the_file(tune: Tune, tmp_path: Path) -> None:
    made, read = tune(), Tuned.read(tmp_path / "tuning" / "tuned.json")
    assert read == made
    assert read.key == made.key


# Using the choices


@pytest.fixture
def used(
    tune: Tune, scores: Scores, configuration: Callable[..., Configuration], tmp_path: Path
) -> Callable[..., Configuration]:
    scores.bonus["replay"] = lambda options: 5.0 if options.get("share") == 0.25 else 0.0
    tune()
    file = str(tmp_path / "tuning" / "tuned.json")
    return lambda **changes: configuration(**{"strategies": ("naive", "replay"), "tuned": file, **changes})


def test_each_strategy_runs_with_what_was_chosen_for_it(
    used: Callable[..., Configuration], scores: Scores, tmp_path: Path
) -> None:
    scores.runs = []
    asked = used(stream="dev", seeds=(7,))
    made = Comparison(asked, tmp_path / "out")
    made.run(progress=False)
    assert scores.runs == [("naive", 2e-3, {}, 7), ("replay", 4e-3, {"share": 0.25}, 7)]
    stored = json.loads((tmp_path / "out" / "runs" / f"{made.results[1].key.stem}.json").read_text())["asked"]
    assert (stored["learning_rate"], stored["options"]) == (4e-3, {"share": 0.25})
    assert Tuned.read(tmp_path / "out" / "tuned.json").key == stored["tuned"]


def test_a_finished_run_is_found_again(used: Callable[..., Configuration], scores: Scores, tmp_path: Path) -> None:
    for _ in range(2):
        Comparison(used(stream="dev"), tmp_path / "out").run(progress=False)
    assert [run[:2] for run in scores.runs[-2:]] == [("naive", 2e-3), ("replay", 4e-3)]
    assert len(scores.runs) == 12 + 2


def test_runs_with_and_without_choices_do_not_stand_in_one_folder(
    used: Callable[..., Configuration], tmp_path: Path
) -> None:
    Comparison(used(stream="dev"), tmp_path / "out").run(progress=False)
    with pytest.raises(ValueError, match="tuned"):
        Comparison(used(stream="dev", tuned=None), tmp_path / "out")


# Bad input


@pytest.mark.parametrize("rates", [(), (0.0,), (-1e-3, 1e-3), (float("nan"),), (float("inf"),)])
def test_a_grid_that_is_empty_or_not_positive_is_refused(rates: Any, tune: Tune) -> None:
    with pytest.raises(ValueError, match="learning_rates: expected one or more positive numbers"):
        tune(rates)


def test_choices_must_not_look_at_test_data(tune: Tune) -> None:
    with pytest.raises(ValueError, match="stream: expected dev"):
        tune(stream="test")


def test_general_tasks_are_for_the_comparison_not_for_its_tuning(
    tune: Tune, used: Callable[..., Configuration]
) -> None:
    with pytest.raises(ValueError, match="general: expected none in tuning"):
        tune(general=("facts",))
    assert used(general=("facts",)).general == ("facts",)


def test_a_strategy_whose_trials_all_fail_is_named(tune: Tune, scores: Scores) -> None:
    scores.failing = {1e-3, 2e-3, 4e-3}
    with pytest.raises(ValueError, match="naive: expected a trial that succeeds, got 3 that failed"):
        tune()


def test_choices_older_than_a_setting_count_as_made_at_its_default(
    used: Callable[..., Configuration], tmp_path: Path
) -> None:
    file = tmp_path / "tuning" / "tuned.json"
    content = json.loads(file.read_text())
    del content["asked"]["schedule"], content["asked"]["general"]
    file.write_text(json.dumps(content))
    assert used().tuned == str(file)
    with pytest.raises(ValueError, match="schedule 'constant', now 'linear'"):
        used(schedule="linear")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 3}, "other settings .*epochs 1, now 3"),
        ({"memory": 5}, "other settings .*memory 4, now 5"),
        ({"model": "tiny-t5"}, "other settings .*model 'tiny', now 'tiny-t5'"),
        ({"benchmark": "long_sequence", "data": "elsewhere"}, "other settings .*data 'sample', now 'elsewhere'"),
        ({"strategies": ("naive", "aim")}, r"strategies that were tuned \(naive, replay\), got aim"),
        ({"learning_rate": 1e-3}, "learning_rate: expected none beside tuned"),
        ({"fwt": True}, "fwt: expected one learning rate"),
    ],
)
def test_choices_for_something_else_are_refused_by_name(
    changes: dict[str, Any], message: str, used: Callable[..., Configuration]
) -> None:
    with pytest.raises(ValueError, match=message):
        used(**changes)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format": 9}', '{"format": 1, "asked": {}, "strategies": {"a": 1}}']
)
def test_a_file_of_something_else_is_refused(
    content: str, configuration: Callable[..., Configuration], tmp_path: Path
) -> None:
    file = tmp_path / "tuned.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"tuned: expected a file that tune has made, got .*tuned\.json"):
        configuration(tuned=str(file))
    file.unlink()
    with pytest.raises(OSError, match=r"tuned: expected a file that tune has made, got .*tuned\.json"):
        configuration(tuned=str(file))


def test_a_recipe_leaves_the_learning_rate_to_what_was_tuned(tmp_path: Path) -> None:
    file, asked = tmp_path / "tuned.json", {"recipe": "paper", "strategies": ["naive"]}
    Tuned(Configuration.of(asked).shared(), ["1"], [0], {"naive": Choice(1e-3, {}, False)}).write(file)
    assert Configuration.of({**asked, "tuned": str(file)}).for_run("naive").learning_rate == 1e-3
