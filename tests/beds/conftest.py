"""A tiny random encoder in a folder."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel

from avalanche_aim.beds import Embeddings
from avalanche_aim.text.model.tiny import tiny_tokenizer


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an encoder with 16 numbers a text and 40 positions."""
    folder = tmp_path_factory.mktemp("encoder")
    config = BertConfig(
        vocab_size=800,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    tiny_tokenizer("causal").save_pretrained(folder)
    return folder


@pytest.fixture
def embeddings(encoder: Path, tmp_path: Path) -> Callable[..., Embeddings]:
    """Make embeddings of the tiny encoder, kept in one folder for each test."""
    return lambda **settings: Embeddings(str(encoder), **{"max_tokens": 12, "cache": tmp_path / "kept", **settings})
