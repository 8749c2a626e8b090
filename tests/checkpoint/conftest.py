"""The stream of most checkpoint tests."""

from typing import Any

import pytest


@pytest.fixture
def stream(three_tasks: Any) -> Any:
    return three_tasks.train_stream[:2]
