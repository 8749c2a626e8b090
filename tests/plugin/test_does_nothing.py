"""Where AIM does nothing, or would do something wrong, it says so."""

import gc
import warnings
from copy import deepcopy
from typing import Any

import pytest
import torch
from avalanche.models import FeatureExtractorBackbone, SCRModel
from avalanche.training import SCR, JointTraining, Naive, StreamingLDA
from avalanche.training.plugins import EvaluationPlugin
from plugin_runs import merging
from torch import nn

from avalanche_aim import AIMMergingPlugin
from avalanche_aim.merging import FixedInterval
from benchmarks.strategies import stream


def strategy_of(*plugins: Any, template: type = Naive, model: nn.Module | None = None, **arguments: Any) -> Any:
    model = nn.Linear(8, 6) if model is None else model
    if template is not StreamingLDA:
        arguments |= {"model": model, "optimizer": torch.optim.SGD(model.parameters(), lr=0.01)}
    if template is not SCR:
        arguments["criterion"] = nn.CrossEntropyLoss()
    evaluator = EvaluationPlugin(loggers=[])
    return template(train_mb_size=8, plugins=list(plugins), evaluator=evaluator, **arguments)


def test_two_plugins_in_a_strategy_are_refused(three_tasks: Any) -> None:
    with pytest.raises(ValueError, match="expected one AIMMergingPlugin in a strategy, got 2"):
        strategy_of(merging(), merging()).train(three_tasks.train_stream[0])


def test_one_plugin_in_two_strategies_is_refused(three_tasks: Any) -> None:
    plugin = merging()
    first = strategy_of(plugin)
    first.train(three_tasks.train_stream[0])
    with pytest.raises(ValueError, match=r"got a second one \(Naive\): its memory and signals belong to the first"):
        strategy_of(plugin).train(three_tasks.train_stream[0])


def test_a_plugin_whose_strategy_is_gone_may_go_to_another(three_tasks: Any) -> None:
    plugin = merging()
    strategy = strategy_of(plugin)
    strategy.train(three_tasks.train_stream[0])
    del strategy
    gc.collect()
    strategy_of(plugin).train(three_tasks.train_stream[1])
    assert plugin.history.merges


def test_a_copy_of_a_strategy_and_its_plugin_trains_on_its_own(three_tasks: Any) -> None:
    strategy = strategy_of(merging())
    strategy.train(three_tasks.train_stream[0])
    copy = deepcopy(strategy)
    for one in (strategy, copy):
        one.train(three_tasks.train_stream[1])
    counts = [len(p.history.merges) for one in (strategy, copy) for p in one.plugins if isinstance(p, AIMMergingPlugin)]
    assert counts == [1, 1]


def test_an_experience_that_is_trained_on_again_is_said_and_remembered_once(three_tasks: Any) -> None:
    plugin = merging()
    strategy = strategy_of(plugin)
    strategy.train(three_tasks.train_stream[0])
    strategy.train(three_tasks.train_stream[1])
    with pytest.warns(UserWarning, match="experience 0 is trained on again; its examples are in the memory already"):
        strategy.train(three_tasks.train_stream[0])
    assert [len(rows) for rows in plugin.memory.selected] == [8, 8]


def test_joint_training_says_that_there_is_nothing_to_merge(three_tasks: Any) -> None:
    plugin = merging()
    with pytest.warns(UserWarning, match="JointTraining trains on all tasks at once"):
        strategy_of(plugin, template=JointTraining).train(three_tasks.train_stream)
    assert plugin.history.merges == []


def test_a_strategy_that_trains_on_views_is_refused_by_name() -> None:
    model = SCRModel(nn.Sequential(nn.Flatten(), nn.Linear(64, 16)), nn.Linear(16, 4))
    strategy = strategy_of(merging(), template=SCR, model=model, mem_size=8, batch_size_mem=4)
    with pytest.raises(ValueError, match="AIMMerging cannot take part in SCR: its forward and criterion do not pass"):
        for experience in stream(classic=False).train_stream:
            strategy.train(experience)


def test_a_strategy_without_an_optimizer_is_refused_by_name(three_tasks: Any) -> None:
    model = FeatureExtractorBackbone(nn.Sequential(nn.Linear(8, 4), nn.ReLU()), "1")
    strategy = strategy_of(merging(), template=StreamingLDA, slda_model=model, input_size=4, num_classes=6)
    with pytest.raises(TypeError, match="expected a strategy that trains with an optimizer, got StreamingLDA"):
        strategy.train(three_tasks.train_stream[0])


def test_what_was_said_is_noted_in_the_history(three_tasks: Any) -> None:
    plugin = merging(FixedInterval(100))
    strategy = strategy_of(plugin)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for experience in three_tasks.train_stream:
            strategy.train(experience)
    messages = [str(warning.message) for warning in said if "AIMMerging" in str(warning.message)]
    (note,) = plugin.history.notes
    assert messages == [f"AIMMerging: {note} (said once)"]
    assert note.startswith("nothing was merged in experience 1")
