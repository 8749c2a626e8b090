"""Answers by real greedy generation: for open tasks, and as a cross-check of the teacher-forced exact match."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ...training.isolation import eval_mode
from ..stream.encoding import unpack
from .language_model import LanguageModel

MAX_NEW_TOKENS = 128
"""Tokens after which an answer is cut, as in the published code."""


@torch.no_grad()
def generate(model: LanguageModel, x: Tensor, max_new_tokens: int = MAX_NEW_TOKENS) -> list[str]:
    """Answer packed prompts by greedy decoding, all at once, until every row has ended.

    What the model's own ``generation_config`` asks for (sampling, beams, penalties) does not count.

    :param model: the model; it generates in eval mode and under its own ``autocast``, and keeps its mode.
    :param x: packed rows, shape (B, L); the answers in them are not looked at.
    :param max_new_tokens: tokens after which an answer is cut.
    :return: the answers as text, without special tokens, stripped.
    :raises ValueError: for a limit below 1.
    """
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens: expected 1 or more, got {max_new_tokens}")
    if not len(x):
        return []
    batch = unpack(x, pad_left=model.is_causal)
    with eval_mode(model), _greedy(model, max_new_tokens) as settings, model.mixed_precision(x.device):
        output = model.language_model.generate(
            input_ids=batch.prompt, attention_mask=batch.prompt_mask.long(), generation_config=settings
        )
    # A T5-like model's output begins with the decoder's start token, a causal one's with the prompt.
    answers = output[:, batch.prompt.shape[1] if model.is_causal else 1 :]
    return decode(model, answers)


def decode(model: LanguageModel, tokens: Tensor) -> list[str]:
    """Return answers as text, without special tokens, stripped.

    :param model: whose tokenizer decodes.
    :param tokens: shape (B, A), padded with special tokens.
    """
    if not len(tokens):
        return []
    texts = model.tokenizer.batch_decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return [text.strip() for text in texts]


@contextmanager
def _greedy(model: LanguageModel, max_new_tokens: int) -> Iterator[object]:
    """Give plain greedy settings, and keep the model's own out of the way.

    Transformers fills what the settings leave open from the model's ``generation_config`` (a repetition penalty,
    say), so that has to be a plain one meanwhile.
    """
    from transformers import GenerationConfig

    tokenizer, inner = model.tokenizer, model.language_model
    pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    tokens = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": pad}
    if not model.is_causal:
        tokens["decoder_start_token_id"] = inner.config.decoder_start_token_id
    own = inner.generation_config
    inner.generation_config = GenerationConfig(**tokens)
    try:
        yield GenerationConfig(do_sample=False, num_beams=1, max_new_tokens=max_new_tokens, use_cache=True, **tokens)
    finally:
        inner.generation_config = own
