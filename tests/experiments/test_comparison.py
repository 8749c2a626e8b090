"""A whole comparison: what runs, what is kept, and how it goes on after an interruption."""

import gc
import json
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from staged import Stage

from avalanche_aim.experiments import Comparison, Configuration, Key, Result
from avalanche_aim.experiments.cost import CostMeter

Make = Callable[..., Configuration]


def read(folder: Path, name: str = "results.json") -> Any:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


ORDER = "news,reviews"
BACKWARDS = "reviews,news"


# What runs


def test_every_strategy_runs_with_every_order_and_seed(stage: Stage, compare: Callable[..., Comparison]) -> None:
    made = compare(seeds=(3, 4), orders=(ORDER, BACKWARDS))
    expected = [Key(name, order, seed) for seed in (3, 4) for order in (ORDER, BACKWARDS) for name in ("naive", "aim")]
    assert stage.runs == expected
    assert [result.key for result in made.results] == expected
    assert made.failures == []


def test_models_are_loaded_once_a_seed(stage: Stage, compare: Callable[..., Comparison]) -> None:
    compare(seeds=(3, 4), orders=(ORDER, BACKWARDS))
    assert stage.models == [3, 4]


def test_a_run_gets_the_options_of_its_strategy(stage: Stage, compare: Callable[..., Comparison]) -> None:
    compare(options={"aim": {"preset": "economical"}})
    assert stage.options == [None, {"preset": "economical"}]


def test_results_are_gathered_with_the_configuration(
    stage: Stage, compare: Callable[..., Comparison], tmp_path: Path
) -> None:
    made = compare()
    written = read(tmp_path / "out")
    assert written["configuration"] == made.configuration.plain()
    assert [run["strategy"] for run in written["runs"]] == ["aim", "naive"]
    assert written["failed"] == []


# Again


def test_nothing_runs_or_is_loaded_if_all_is_finished(stage: Stage, compare: Callable[..., Comparison]) -> None:
    first = compare(seeds=(0, 1))
    again = compare(seeds=(0, 1))
    assert len(stage.runs) == 4
    assert stage.models == [0, 1]
    assert again.results == first.results
    assert again.streams == {}


def test_only_what_is_missing_runs(stage: Stage, compare: Callable[..., Comparison], tmp_path: Path) -> None:
    compare(seeds=(0, 1))
    (path,) = (tmp_path / "out" / "runs").glob("aim_*_seed-0.json")
    path.unlink()
    stage.runs.clear()
    compare(seeds=(0, 1))
    assert stage.runs == [Key("aim", ORDER, 0)]


def test_strategies_seeds_and_orders_add_up_in_one_folder(
    stage: Stage, compare: Callable[..., Comparison], tmp_path: Path
) -> None:
    compare(strategies=("naive",))
    compare(strategies=("naive", "ewc"), options={"ewc": {"ewc_lambda": 2.0}})
    compare(strategies=("naive",), seeds=(1,))
    last = compare(strategies=("naive",), orders=(BACKWARDS,))
    expected = [("naive", ORDER, 0), ("ewc", ORDER, 0), ("naive", ORDER, 1), ("naive", BACKWARDS, 0)]
    assert stage.runs == [Key(*key) for key in expected]
    gathered = {Key(run["strategy"], run["order"], run["seed"]) for run in read(tmp_path / "out")["runs"]}
    assert gathered == set(stage.runs)
    assert len(last.results) == 1


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"epochs": 3}, "epochs 1, now 3"),
        ({"memory": 5, "precision": "bf16"}, "memory 4, now 5, precision 'fp32', now 'bf16'"),
        ({"strategies": ("ewc",), "epochs": 3}, "epochs 1, now 3"),
        ({"options": {"aim": {"preset": "economical"}}}, r"options \{\}, now \{'preset': 'economical'\}"),
    ],
)
def test_finished_runs_with_other_settings_are_refused_and_nothing_is_overwritten(
    changes: dict[str, Any], difference: str, stage: Stage, compare: Callable[..., Comparison], tmp_path: Path
) -> None:
    compare()
    stage.runs.clear()
    before = files(tmp_path)
    with pytest.raises(ValueError, match=rf"is a finished run of .* with other settings \({difference}\)"):
        compare(**changes)
    assert stage.runs == []
    assert files(tmp_path) == before


@pytest.mark.parametrize("strategies", [("naive", "aim"), ("ewc",)])
def test_a_damaged_file_is_told_before_anything_runs(
    strategies: tuple[str, ...], stage: Stage, compare: Callable[..., Comparison], tmp_path: Path
) -> None:
    compare()
    (path,) = (tmp_path / "out" / "runs").glob("aim_*.json")
    path.write_text("{")
    stage.runs.clear()
    with pytest.raises(ValueError, match=rf"{path.name}.*delete it to run it again"):
        compare(strategies=strategies)
    assert stage.runs == []


# Failures


def test_a_failing_run_is_recorded_with_its_reason_and_the_others_go_on(
    stage: Stage, compare: Callable[..., Comparison], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.errors["naive"] = RuntimeError("out of\n  memory")
    made = compare(seeds=(0, 1))
    assert len(stage.runs) == 4
    assert [result.strategy for result in made.results] == ["aim", "aim"]
    assert [failure.error for failure in made.failures] == ["RuntimeError: out of memory"] * 2
    assert "out of" in made.failures[0].details and "Traceback" in made.failures[0].details
    assert [(run["strategy"], run["seed"]) for run in read(tmp_path / "out")["failed"]] == [("naive", 0), ("naive", 1)]
    assert "naive, order news,reviews, seed 0 failed: RuntimeError: out of memory" in capsys.readouterr().out


def test_a_failed_run_s_memory_is_freed_before_the_next(stage: Stage, compare: Callable[..., Comparison]) -> None:
    class Model:
        """What a failed run leaves: a strategy that its data loader points back to."""

    left: list[weakref.ref[Model]] = []
    freed: list[bool] = []

    def fail() -> None:
        model = Model()
        model.itself = model  # type: ignore[attr-defined]
        left.append(weakref.ref(model))
        raise RuntimeError("out of memory")

    stage.during["naive"] = fail
    stage.during["aim"] = lambda: freed.append(left[0]() is None)
    gc.disable()
    try:
        compare()
        assert freed == [True]
    finally:
        gc.enable()


def test_an_error_without_a_message_still_has_a_reason(stage: Stage, compare: Callable[..., Comparison]) -> None:
    stage.errors["naive"] = MemoryError()
    assert [failure.error for failure in compare().failures] == ["MemoryError: no message"]


def test_a_failed_run_is_tried_again(stage: Stage, compare: Callable[..., Comparison], tmp_path: Path) -> None:
    stage.errors["naive"] = RuntimeError("out of memory")
    compare()
    stage.runs.clear()
    del stage.errors["naive"]
    made = compare()
    assert stage.runs == [Key("naive", ORDER, 0)]
    assert made.failures == []
    assert len(made.results) == 2
    assert read(tmp_path / "out")["failed"] == []


def test_where_all_fails_there_are_only_failures(
    stage: Stage, compare: Callable[..., Comparison], tmp_path: Path
) -> None:
    stage.errors |= {"naive": RuntimeError("a"), "aim": RuntimeError("b")}
    made = compare()
    assert (len(made.failures), made.results) == (2, [])
    assert len(read(tmp_path / "out")["failed"]) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_is_no_failure_and_keeps_what_was_finished(
    error: type[BaseException], stage: Stage, compare: Callable[..., Comparison], tmp_path: Path
) -> None:
    stage.errors["aim"] = error()
    with pytest.raises(error):
        compare()
    assert [path.name[:5] for path in (tmp_path / "out" / "runs").glob("*.json")] == ["naive"]
    stage.errors.clear()
    stage.runs.clear()
    compare()
    assert stage.runs == [Key("aim", ORDER, 0)]


# Forward transfer


def test_references_are_measured_once_a_seed_and_order(stage: Stage, compare: Callable[..., Comparison]) -> None:
    made = compare(seeds=(0, 1), fwt=True)
    assert stage.references == [0, 1]
    assert [result.single for result in made.results] == [[70.0, 70.0]] * 4


def test_without_fwt_nothing_is_measured(stage: Stage, compare: Callable[..., Comparison]) -> None:
    assert [result.single for result in compare().results] == [None, None]
    assert stage.references == []


def test_references_that_are_asked_for_later_are_added_without_running_again(
    stage: Stage, compare: Callable[..., Comparison], tmp_path: Path
) -> None:
    compare()
    stage.runs.clear()
    made = compare(fwt=True)
    assert stage.runs == []
    assert [result.metrics["FWT"] for result in made.results] == [15.0, 15.0]
    assert [run["single"] for run in read(tmp_path / "out")["runs"]] == [[70.0, 70.0]] * 2
    compare(fwt=True)
    assert stage.references == [0]


def test_references_stay_where_they_are_not_asked_for_again(stage: Stage, compare: Callable[..., Comparison]) -> None:
    compare(fwt=True)
    assert [result.single for result in compare().results] == [[70.0, 70.0]] * 2


# Before anything runs


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"orders": ("7",)}, "order: expected one of 1, 2, 3"),
        ({"orders": (ORDER, "news,weather")}, "'weather', which is not there"),
        ({"data": "/no/such/data"}, "/no/such/data"),
        ({"max_prompt_tokens": 4}, "max_prompt_tokens: expected more than 8, got 4"),
    ],
)
def test_what_cannot_be_built_is_told_before_anything_runs(
    changes: dict[str, Any], message: str, stage: Stage, compare: Callable[..., Comparison], tmp_path: Path
) -> None:
    with pytest.raises((ValueError, OSError), match=message):
        compare(**changes)
    assert stage.runs == []
    assert not (tmp_path / "out").exists()


# With real runs

REAL: dict[str, Any] = {
    "strategies": ("naive", "replay", "fixed-interval"),
    "options": {"fixed-interval": {"interval": 1}},
}


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Interrupt training after a number of iterations, counted over all runs."""
    count = CostMeter.after_training_iteration
    passed = 0

    def interrupt_after(number: int) -> None:
        def stop(self: CostMeter, strategy: Any, *args: Any, **kwargs: Any) -> None:
            nonlocal passed
            count(self, strategy)
            passed += 1
            if passed == number:
                raise KeyboardInterrupt

        monkeypatch.setattr(CostMeter, "after_training_iteration", stop)

    yield interrupt_after


def without_cost(results: list[Result]) -> list[Any]:
    return [({k: v for k, v in result.to_dict().items() if k != "cost"}, result.history) for result in results]


@pytest.mark.slow
def test_an_interrupted_comparison_goes_on_to_the_results_of_an_uninterrupted_one(
    compare: Callable[..., Comparison], interrupt: Callable[[int], None], tmp_path: Path
) -> None:
    whole = compare(tmp_path / "whole", **REAL)
    interrupt(6)  # in the middle of the second run of four iterations
    with pytest.raises(KeyboardInterrupt):
        compare(**REAL)
    assert [path.name[:5] for path in (tmp_path / "out" / "runs").glob("*.json")] == ["naive"]
    resumed = compare(**REAL)
    assert without_cost(resumed.results) == without_cost(whole.results)
    assert resumed.results[2].merges == 2


def test_a_finished_comparison_reads_what_it_measured(compare: Callable[..., Comparison]) -> None:
    assert compare(**REAL).results == compare(**REAL).results


def test_nothing_is_shown_without_progress(
    compare: Callable[..., Comparison], capsys: pytest.CaptureFixture[str]
) -> None:
    compare(strategies=("naive",), fwt=True)
    assert capsys.readouterr().err == ""
