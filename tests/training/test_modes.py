"""Modes switched by setting flags are those that train() and eval() would have set."""

from copy import deepcopy

import pytest
from torch import nn

from avalanche_aim.training.modes import ModeSwitch, modules_of


class Noting(nn.Module):
    """Does more than keep a flag."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Dropout()
        self.switched = []

    def train(self, mode=True):
        self.switched.append(mode)
        return super().train(mode)


def test_modules_come_in_the_order_of_pytorch_and_once_each():
    shared = nn.Linear(2, 2)
    model = nn.Sequential(nn.Sequential(shared, nn.Dropout()), shared, nn.ModuleList([nn.ReLU()]))
    assert modules_of(model) == list(model.modules())


@pytest.mark.parametrize("training", [True, False])
def test_flags_are_those_that_the_model_itself_would_set(training):
    model = nn.Sequential(nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2)), nn.Linear(2, 2))
    model.train(not training)
    ModeSwitch(model).set(training)
    assert {module.training for module in model.modules()} == {training}


def test_modules_that_do_more_are_switched_by_their_own_methods():
    model = nn.Sequential(Noting(), nn.Dropout())
    mode = ModeSwitch(model)
    assert not mode.only_flags
    mode.set(False)
    mode.set(True)
    assert model[0].switched == [False, True]
    assert model[0].inner.training


@pytest.mark.parametrize("outer", [nn.Sequential, Noting])
def test_each_module_gets_its_own_mode_back(outer):
    model = nn.Sequential(outer(), nn.Dropout(), nn.BatchNorm1d(2))
    model.train()
    model[2].eval()
    mode = ModeSwitch(model)
    before = mode.modes
    mode.set(False)
    mode.restore(before)
    assert [module.training for module in model] == [True, True, False]


def test_a_language_model_switches_its_hidden_backbone_and_that_of_a_copy_its_own(model):
    model.eval()
    copy = deepcopy(model)
    copy.train()
    assert not any(module.training for module in model.backbone.modules())
    assert all(module.training for module in copy.backbone.modules())
    assert ModeSwitch(model.backbone).only_flags
