"""Embeddings: what a vector is, and that each text is computed once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel, AutoTokenizer, ViTConfig, ViTModel

from avalanche_aim.beds import Embeddings
from avalanche_aim.beds import embeddings as module
from avalanche_aim.beds.encoder import SentenceEncoder

TEXTS = ["red soup", "a quiet street by the river, warm and long", "lamp", "red soup", "old dog"]
Make = Callable[..., Embeddings]


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note every text that is computed."""
    texts: list[str] = []
    encode = SentenceEncoder.encode

    def noting(self: SentenceEncoder, chunk: Any) -> Any:
        texts.extend(chunk)
        return encode(self, chunk)

    monkeypatch.setattr(SentenceEncoder, "encode", noting)
    return texts


def test_a_vector_is_the_mean_of_a_texts_hidden_states_at_length_one(encoder: Path, embeddings: Make) -> None:
    model, tokenizer = AutoModel.from_pretrained(encoder).eval(), AutoTokenizer.from_pretrained(encoder)
    vectors = embeddings().of(TEXTS)
    for text, vector in zip(TEXTS, vectors, strict=True):
        ids = torch.tensor([tokenizer(text).input_ids[:12]])
        mean = model(input_ids=ids).last_hidden_state[0].mean(0)
        torch.testing.assert_close(vector, mean / mean.norm(), rtol=1e-4, atol=1e-5)


def test_a_text_is_computed_once_however_often_it_occurs(embeddings: Make, computed: list[str]) -> None:
    vectors = embeddings().of(TEXTS)
    assert sorted(computed) == sorted(set(TEXTS))
    assert torch.equal(vectors[0], vectors[3])


def test_the_next_start_reads_what_is_kept_and_computes_the_rest(embeddings: Make, computed: list[str]) -> None:
    first = embeddings().of(TEXTS)
    computed.clear()
    again = embeddings().of(["garden", *TEXTS])
    assert computed == ["garden"]
    assert torch.equal(again[1:], first)


def test_the_encoder_is_not_loaded_where_everything_is_kept(embeddings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    first = embeddings().of(TEXTS)
    monkeypatch.setattr(module, "SentenceEncoder", None)
    assert torch.equal(embeddings().of(TEXTS), first)


def test_another_limit_is_another_vector(embeddings: Make, computed: list[str]) -> None:
    short, long = embeddings(max_tokens=2).of(TEXTS), embeddings(max_tokens=12).of(TEXTS)
    assert len(computed) == 2 * len(set(TEXTS))
    assert not torch.allclose(short[1], long[1], atol=1e-3)


def test_other_weights_are_another_key(encoder: Path, embeddings: Make, tmp_path: Path) -> None:
    folder = tmp_path / "changed"
    folder.mkdir()
    for path in encoder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    assert Embeddings(str(folder), 12).fingerprint == embeddings().fingerprint
    model = AutoModel.from_pretrained(folder)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight[5, 3] += 1
    model.save_pretrained(folder)
    assert Embeddings(str(folder), 12).fingerprint != embeddings().fingerprint


def test_an_interruption_loses_one_chunk(
    embeddings: Make, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    keep, kept = Embeddings._keep, []

    def interrupted(self: Embeddings, vectors: Any) -> None:
        if kept:
            raise KeyboardInterrupt
        kept.extend(vectors)
        keep(self, vectors)

    monkeypatch.setattr(Embeddings, "_keep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        embeddings().of(TEXTS)
    monkeypatch.setattr(Embeddings, "_keep", keep)
    computed.clear()
    embeddings().of(TEXTS)
    assert len(computed) == 2


@pytest.mark.parametrize("damage", [lambda b: b[:-3], lambda b: b[:-3] + b"abc", lambda b: b""])
def test_a_damaged_file_is_said_and_computed_again(
    damage: Callable[[bytes], bytes], embeddings: Make, tmp_path: Path
) -> None:
    first = embeddings().of(TEXTS)
    (file,) = (tmp_path / "kept").glob("*/*.safetensors")
    file.write_bytes(damage(file.read_bytes()))
    with pytest.warns(UserWarning, match="holds no embeddings"):
        assert torch.equal(embeddings().of(TEXTS), first)
    assert torch.equal(embeddings().of(TEXTS), first)


def test_without_a_cache_nothing_is_written(embeddings: Make, tmp_path: Path, own_cache: Path) -> None:
    embeddings(cache=False).of(TEXTS)
    assert not (tmp_path / "kept").exists()
    assert not any(own_cache.iterdir())


def test_the_global_random_stream_stays(embeddings: Make) -> None:
    before = torch.get_rng_state()
    embeddings().of(TEXTS)
    assert torch.equal(torch.get_rng_state(), before)


# Bad input


@pytest.mark.parametrize("limit", [0, -1, True, 2.5])
def test_a_limit_below_one_is_refused(limit: Any, embeddings: Make) -> None:
    with pytest.raises(ValueError, match="max_tokens: expected 1 or more"):
        embeddings(max_tokens=limit)


def test_a_limit_beyond_the_encoders_positions_is_refused(embeddings: Make) -> None:
    with pytest.raises(ValueError, match="at most the encoder's 40 positions, got 41"):
        embeddings(max_tokens=41).of(TEXTS)


def test_an_image_model_is_no_encoder(tmp_path: Path) -> None:
    config = ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, image_size=32)
    ViTModel(config).save_pretrained(tmp_path / "vit")
    with pytest.raises(ValueError, match=r"expected a text encoder .* got .*vit"):
        Embeddings(str(tmp_path / "vit")).of(TEXTS)


def test_a_folder_without_a_model_is_no_encoder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"config\.json"):
        Embeddings(str(tmp_path))


def test_an_encoder_that_lacks_weights_is_refused(encoder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "part"
    folder.mkdir()
    for path in encoder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    weights = load_file(folder / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if "layer.0" not in name}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="with all its weights"):
        Embeddings(str(folder), 12).of(TEXTS)
