"""Every Python block of README.md and docs/ runs, those of a page one after another.

Substitutions: the default model is a tiny one, the sample is cut short, ``comparison`` is a finished one, the tables
that docs/data.md reads are there, FSDP shards over one process. Pages of docs/ begin with :data:`PRELUDE`; README's
block stands on its own.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pages import Block, blocks
from torch import distributed

from avalanche_aim import LanguageModel

DEFAULT = "HuggingFaceTB/SmolLM2-135M-Instruct"
SAMPLE, SHORT = 'data="sample"', 'data="sample", train_per_task=8, eval_per_task=2'
PRELUDE = f"""
import torch
from avalanche.training import Naive
from avalanche_aim import *

torch.manual_seed(0)
model = LanguageModel.from_pretrained("{DEFAULT}")
benchmark = standard_cl(order=1, tokenizer=model.tokenizer, {SAMPLE})
"""
TABLES = [f"{task}_{split}.csv" for task in ("mail", "reviews") for split in ("train", "test")]
EXAMPLES = blocks("python")


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a tiny model."""
    folder = str(tmp_path_factory.mktemp("model"))
    LanguageModel.from_pretrained("tiny", lora=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def names() -> dict[str, dict[str, Any]]:
    """What the blocks of each page have defined so far."""
    return {}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, finished: Path) -> Path:
    """What is there before a page writes files of its own, which a later block of it may read."""
    folder = tmp_path_factory.mktemp("workplace") / "empty"
    shutil.copytree(finished, folder / "comparison")
    for name in TABLES:
        (folder / name).write_text("text,label\n" + "Hello,good\nBye,bad\n" * 4, encoding="utf-8")
    return folder


@contextmanager
def process_group(needed: bool) -> Iterator[None]:
    """A process group of this process alone."""
    if needed:
        distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        if needed:
            distributed.destroy_process_group()


@pytest.mark.parametrize("block", EXAMPLES, ids=[block.place for block in EXAMPLES])
def test_the_example_runs(
    block: Block,
    small_model: str,
    names: dict[str, dict[str, Any]],
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "bitsandbytes" in block.text or "BitsAndBytes" in block.text:
        pytest.importorskip("bitsandbytes")
    own = workplace.with_name(block.page.replace("/", " "))
    if not own.exists():
        shutil.copytree(workplace, own)
    monkeypatch.chdir(own)

    def small(text: str) -> str:
        return text.replace(DEFAULT, small_model).replace(SAMPLE, SHORT)

    if block.page not in names:
        names[block.page] = {}
        if block.page != "README.md":
            exec(small(PRELUDE), names[block.page])
    with process_group("fully_shard" in block.text):
        exec(compile(small(block.text), block.place, "exec"), names[block.page])
