"""Kinds of bad input about models: names, folders, adapters."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from damage import TEXTS, changes_of, put
from hypothesis import strategies as st
from promise import Kind
from transformers.utils.logging import disable_progress_bar

from avalanche_aim.text import LanguageModel
from avalanche_aim.text.model.sources import DEFAULT_MODEL, hub, resolve_model
from avalanche_aim.text.model.tiny import tiny_model, tiny_tokenizer


@cache
def _whole() -> dict[str, bytes]:
    """A model's folder, and an adapter's whose base it is."""
    with tempfile.TemporaryDirectory() as name:
        disable_progress_bar()
        base, adapter = Path(name) / "base", Path(name) / "adapter"
        tokenizer = tiny_tokenizer("causal")
        tiny_model("causal", len(tokenizer)).save_pretrained(base)
        tokenizer.save_pretrained(base)
        LanguageModel.from_pretrained(str(base)).backbone.save_pretrained(adapter)
        return {str(p.relative_to(name)): p.read_bytes() for p in sorted(Path(name).rglob("*")) if p.is_file()}


def _put(changes: Any, folder: Path) -> None:
    files = {**_whole(), **changes}
    config = files["adapter/adapter_config.json"]
    if isinstance(config, bytes):  # the base is found by its path
        base = str(folder / "base").encode()
        files["adapter/adapter_config.json"] = config.replace(_BASE, base)
    put(files, folder)


_BASE = b"/base/of/the/adapter"


def _load(part: str) -> Any:
    def read(given: Any, folder: Path) -> None:
        with patch.object(hub, "HF_HUB_OFFLINE", True):
            LanguageModel.from_pretrained(str(folder / part))

    return read


def _of(part: str) -> dict[str, bytes]:
    return {name: content for name, content in _whole().items() if name.startswith(part) and not name.endswith(".md")}


NAMES = st.one_of(
    TEXTS,
    st.builds("/".join, st.lists(TEXTS, max_size=3)),
    st.sampled_from(
        ["tiny ", "~", "~nobody/x", "/", "/dev/null", "a/b/c", "a--b", "a b/c", "http://x.y/z", "../x", "con:", "."]
    ),
).filter(lambda name: name != DEFAULT_MODEL)


def _resolve(given: Any, folder: Path) -> None:
    with patch.object(hub, "HF_HUB_OFFLINE", True):
        resolve_model(given)


def kinds() -> tuple[Kind, ...]:
    """Return the kinds; making them writes a tiny model."""
    config = _whole()["adapter/adapter_config.json"]
    start = config.index(b'"base_model_name_or_path": "') + len(b'"base_model_name_or_path": "')
    _whole()["adapter/adapter_config.json"] = config[:start] + _BASE + config[config.index(b'"', start) :]
    return (
        Kind("model name", NAMES, _resolve, names=("model",)),
        Kind("model folder", changes_of(_of("base"), most=1), _load("base"), _put, names=("tokenizer",)),
        Kind("adapter folder", changes_of(_of("adapter"), most=1), _load("adapter"), _put, names=("tokenizer",)),
    )
