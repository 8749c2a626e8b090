"""A merge controller of each reading of the method, right after the begin of an experience."""

import pytest


@pytest.fixture
def paper(controller_of):
    controller = controller_of("paper")
    controller.start()
    return controller


@pytest.fixture
def reference(controller_of):
    controller = controller_of("reference")
    controller.start()
    return controller
