"""What stands for the folders that the pages name."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import SMALL

from avalanche_aim.__main__ import main
from avalanche_aim.experiments import STRATEGIES
from avalanche_aim.text.data.layouts import LAYOUTS

TASKS = {
    **dict.fromkeys(
        ("dbpedia", "amazon", "yahoo", "agnews", "C-STANCE", "FOMC", "law", "math", "mnli", "cb"), ("yes", "no")
    ),
    **dict.fromkeys(("task363", "task002", "task591"), ()),
}
"""Task → its labels, none for open generation."""


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    """Forget what an extension has registered."""
    strategies, layouts = dict(STRATEGIES), list(LAYOUTS)
    yield
    STRATEGIES.clear()
    STRATEGIES.update(strategies)
    LAYOUTS[:] = layouts


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small benchmark files, laid out as the published code has them."""
    folder = tmp_path_factory.mktemp("files")
    for name, labels in TASKS.items():
        for split in ("train", "dev", "test"):
            answers = [labels[n % 2] if labels else f"answer {n}" for n in range(8)]
            rows = [{"input": f"{name}, {split} {n}:", "output": answer} for n, answer in enumerate(answers)]
            path = folder / split / f"{name}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(rows), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished comparison and its report."""
    folder = tmp_path_factory.mktemp("finished")
    assert main(["run", *SMALL, "--strategies", "naive", "replay", "--out", str(folder)]) == 0
    assert main(["report", str(folder), "--format", "csv"]) == 0
    return folder
