"""The examples of docs/training.md run as they stand, with a tiny model in the place of a real one."""

import re
from pathlib import Path
from typing import Any

import pytest

import avalanche_aim
from avalanche_aim import LanguageModel

TEXT = (Path(avalanche_aim.__file__).parents[1] / "docs" / "training.md").read_text(encoding="utf-8")
SETUP, *EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
HEADINGS = [re.findall(r"^## (.*)$", TEXT[: TEXT.index(example)], re.MULTILINE)[-1] for example in EXAMPLES]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the first block and return the names that it leaves."""
    folder = str(tmp_path_factory.mktemp("model"))
    LanguageModel.from_pretrained("tiny", lora=False).save_pretrained(folder)
    setup = SETUP.replace("HuggingFaceTB/SmolLM2-135M-Instruct", folder)
    setup = setup.replace('data="sample"', 'data="sample", train_per_task=16, eval_per_task=4')
    assert setup.count(folder) == setup.count("train_per_task") == 1
    found: dict[str, Any] = {}
    exec(setup, found)
    return found


@pytest.mark.parametrize("example", EXAMPLES, ids=HEADINGS)
def test_the_example_runs(example: str, names: dict[str, Any]) -> None:
    if "bitsandbytes" in example or "BitsAndBytes" in example:
        pytest.importorskip("bitsandbytes")
    exec(example, dict(names))


@pytest.mark.parametrize("name", ["GradientStep", "LearningRateSchedule", "gradient_checkpointing", "autocast"])
def test_every_option_has_an_example(name: str) -> None:
    assert any(name in example for example in EXAMPLES)
