"""Merging and rehearsing with other models, templates, criteria and modes."""

import pytest
import torch
from avalanche.benchmarks.scenarios.supervised import with_classes_timeline
from avalanche.benchmarks.scenarios.task_aware import task_incremental_benchmark
from avalanche.models import IncrementalClassifier, MultiHeadClassifier, MultiTaskModule
from avalanche.training import Naive
from plugin_runs import ITERATIONS, MEMORY_BATCH, everything, merge_positions, merging, watched
from torch import nn
from torch.nn import functional

from avalanche_aim.merging import FixedWeights


class TwoLayers(MultiTaskModule):
    """A shared layer and one head a task."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(8, 16)
        self.heads = MultiHeadClassifier(16, initial_out_features=6, masking=False)

    def forward(self, x, task_labels):
        return self.heads(torch.relu(self.shared(x)), task_labels)


@pytest.fixture
def with_tasks(three_tasks):
    return with_classes_timeline(task_incremental_benchmark(three_tasks)).train_stream


def test_it_rehearses_the_heads_of_past_tasks(train, with_tasks):
    plugin = merging()
    before, after = watched(train, plugin, model=TwoLayers, stream=with_tasks)
    positions = merge_positions(plugin)
    assert len(positions) == 6
    name = "heads.classifiers.0.classifier.weight"
    for position in positions:
        assert not torch.equal(before.states[position][name], after.states[position][name])


def test_a_memory_batch_carries_the_task_labels_of_its_examples(train, with_tasks):
    labels = []

    class Labelled(TwoLayers):
        def forward(self, x, task_labels):
            if len(x) == MEMORY_BATCH:
                labels.append(set(task_labels.tolist()))
            return super().forward(x, task_labels)

    train(merging(rehearsal={"batch_size": MEMORY_BATCH}), model=Labelled, stream=with_tasks)
    half = len(labels) // 2
    assert set().union(*labels[:half]) == {0}
    assert set().union(*labels[half:]) == {0, 1}


@pytest.mark.parametrize("kind", ["shared", "fresh", "own"])
def test_a_classifier_that_grows_is_merged_as_it_has_grown(train, kind):
    plugin = merging(rehearsal={"optimizer": kind})
    before, after = watched(train, plugin, model=lambda: nn.Sequential(nn.Linear(8, 16), IncrementalClassifier(16)))
    positions = merge_positions(plugin)
    assert [len(after.states[position]["1.classifier.bias"]) for position in positions] == [4, 4, 4, 6, 6, 6]
    for position in positions:
        old, new = (run.states[position]["1.classifier.weight"] for run in (before, after))
        assert (old != new).any(dim=1).all()  # every class, old and new


def test_a_custom_criterion_gives_every_loss(train):
    sizes = []

    def criterion(output, target):
        sizes.append(len(target))
        return functional.cross_entropy(output, target, label_smoothing=0.1)

    plugin = merging(rehearsal={"batch_size": MEMORY_BATCH})
    train(plugin, criterion=criterion)
    memory_iterations = sum(merge.memory_iterations for merge in plugin.history.merges)
    assert sizes.count(8) == 3 * ITERATIONS
    assert sizes.count(MEMORY_BATCH) == len(plugin.history.iterations) + memory_iterations


def test_a_template_with_a_loss_of_its_own_keeps_it(train):
    class Constant(Naive):
        def criterion(self):
            return super().criterion() * 0 + 3

    plugin = merging()
    train(plugin, template=Constant)
    assert {record.historical_loss for record in plugin.history.iterations} == {3.0}
    assert {merge.memory_loss_before for merge in plugin.history.merges} == {3.0}


def test_memory_batches_have_the_training_batch_size_unless_told_otherwise(train):
    sizes = []

    class Sized(nn.Linear):
        def forward(self, x):
            if not torch.is_grad_enabled():
                sizes.append(len(x))
            return super().forward(x)

    train(merging(memory=20), model=lambda: Sized(8, 6))
    assert set(sizes) == {8}


@pytest.mark.parametrize(("preset", "mode"), [("paper", False), ("reference", True)])
def test_the_historical_loss_is_taken_in_the_mode_of_the_preset(train, preset, mode):
    modes = []

    class Moded(nn.Linear):
        def forward(self, x):
            if not torch.is_grad_enabled():
                modes.append(self.training)
            return super().forward(x)

    train(merging(preset=preset), model=lambda: Moded(8, 6))
    assert set(modes) == {mode}


def test_a_float64_model_is_trained_as_without_the_plugin(train, same):
    class Double(nn.Linear):
        def forward(self, x):
            return super().forward(x.double())

    def model():
        return Double(8, 6).double()

    plugin = merging(weights=FixedWeights(1.0, 0.0))
    assert same(everything(train(plugin, model=model)), everything(train(model=model)))
