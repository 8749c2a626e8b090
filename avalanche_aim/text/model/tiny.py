"""Tiny random models and their tokenizer, built in memory: for smoke runs and tests, without any download."""

import json
from functools import cache
from typing import Any

TINY = {"tiny": "causal", "tiny-t5": "seq2seq"}
"""Names of the tiny models and their kinds."""
CHAT = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
"""The chat template of their tokenizer."""


def tiny_tokenizer(kind: str, vocabulary: int = 800) -> Any:
    """Train a small byte-level BPE tokenizer on the shipped sample.

    :param kind: "causal", or "seq2seq" to end texts with the end-of-sequence token as T5 does.
    """
    from tokenizers import Tokenizer, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer.from_str(_trained(vocabulary))
    if kind == "seq2seq":
        tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", chat_template=CHAT)


@cache
def _trained(vocabulary: int) -> str:
    """Train it once in a process: it takes longer than all else of a tiny model. As text, which nobody can change."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    from ..data.layouts import SAMPLE

    files = sorted((SAMPLE / "train").glob("*.json"))
    records = [record for file in files for record in json.loads(file.read_text(encoding="utf-8"))]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=["<pad>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator((f"{r['input']} {r['output']}" for r in records), trainer)
    text: str = tokenizer.to_str()
    return text


def tiny_model(kind: str, vocabulary: int, seed: int = 0, **kwargs: Any) -> Any:
    """Build a random model of about 150,000 parameters.

    :param kind: "causal" (Llama) or "seq2seq" (T5).
    :param seed: of the weights; the global random stream stays as it was.
    :param kwargs: ``dtype`` and ``attn_implementation``, as for Transformers' ``from_pretrained``.
    :raises TypeError: for any other argument, which only a model that is loaded could honour.
    """
    import torch

    from ...training.isolation import RandomStream

    unknown = sorted(set(kwargs) - {"dtype", "attn_implementation"})
    if unknown:
        raise TypeError(
            f"a tiny model is built in memory: expected no arguments but dtype and attn_implementation, got {unknown}; "
            "leave them out, or give the id or folder of a model"
        )
    dtype = kwargs.pop("dtype", "auto")
    with RandomStream(seed).on(torch.device("cpu")):
        make = _t5 if kind == "seq2seq" else _llama
        model = make(vocab_size=vocabulary, pad_token_id=0, eos_token_id=1, **kwargs)
    if dtype in (None, "auto"):
        return model
    return model.to(getattr(torch, dtype) if isinstance(dtype, str) else dtype)


def _t5(**options: Any) -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4, **options)
    config.decoder_start_token_id = 0
    return T5ForConditionalGeneration(config)


def _llama(**options: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    heads: dict[str, Any] = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 2048}
    sizes: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    # 1/√64: the usual 0.02 suits models of some thousands, and learns nothing here.
    return LlamaForCausalLM(LlamaConfig(**sizes, **heads, bos_token_id=None, initializer_range=0.125, **options))
