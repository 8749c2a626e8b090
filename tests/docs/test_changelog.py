"""What the changelog tells users to write works, and what it says has moved is where it says."""

import importlib
import re

import pytest
from pages import ROOT

from avalanche_aim import AIMMergingPlugin
from avalanche_aim.merging import FixedInterval

TEXT = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
ROWS = [line.strip("| ").split(" | ") for line in TEXT.splitlines() if line.startswith("| `")]
SETTINGS = [now for _, now in ROWS if re.match(r"`\w+=\{", now)]
MODULES = sorted({name for _, now in ROWS for name in re.findall(r"`(avalanche_aim[\w.]*?)(?:\.\*)?`", now)})


@pytest.mark.parametrize("now", SETTINGS)
def test_a_new_setting_is_taken(now: str) -> None:
    code = re.search(r"`(\w+=\{.*?\})`", now)
    assert code is not None
    AIMMergingPlugin("paper", **eval(f"dict({code[1].replace('…', '0.5')})"))


def test_parts_are_given_by_keyword() -> None:
    code = re.search(r"\| `(AIMMergingPlugin\(\"paper\", schedule=.*?\))`", TEXT)
    assert code is not None
    eval(code[1], {"AIMMergingPlugin": AIMMergingPlugin, "FixedInterval": FixedInterval})


@pytest.mark.parametrize("module", MODULES)
def test_a_moved_module_is_there(module: str) -> None:
    importlib.import_module(module)
