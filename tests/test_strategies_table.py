"""The table of Avalanche's strategies and plugins: whole, and as they run here."""

import inspect
import warnings
from pathlib import Path

import pytest
from avalanche.core import BasePlugin
from avalanche.training import plugins, supervised
from avalanche.training.plugins import SupervisedPlugin
from avalanche.training.templates.base import BaseTemplate

from benchmarks.strategies import PLUGINS, STRATEGIES, cells

PAGE = (Path(__file__).parents[1] / "docs" / "measured" / "strategies.md").read_text(encoding="utf-8")
CASES = {case.kind.__name__: case for case in (*STRATEGIES, *PLUGINS)}
QUICK = ("Naive", "Cumulative", "DER", "EWCPlugin", "LwF", "ReplayPlugin", "SCR", "StreamingLDA", "JointTraining")


def test_every_strategy_and_plugin_of_avalanche_is_in_the_table() -> None:
    there = {
        name
        for module, kind in ((supervised, BaseTemplate), (plugins, BasePlugin))
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, kind) and value is not SupervisedPlugin
    }
    assert there - {"EvaluationPlugin"} <= CASES.keys()
    assert all(f"| `{name}` |" in PAGE for name in CASES)


@pytest.mark.parametrize("name", QUICK)
def test_a_case_ends_as_the_table_says(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert f"| `{name}` | " + " | ".join(cells(CASES[name])) + " |" in PAGE
