"""Answers by real greedy generation: for open tasks, and as a cross-check of the teacher-forced exact match."""

from typing import Any

import torch
from torch import Tensor

from .encoding import unpack
from .model import LanguageModel


@torch.no_grad()
def generate(model: LanguageModel, x: Tensor, max_new_tokens: int = 128) -> list[str]:
    """Answer packed prompts by greedy decoding.

    :param model: the model; it generates in eval mode and keeps its mode.
    :param x: packed rows, shape (B, L); the answers in them are not looked at.
    :param max_new_tokens: tokens after which an answer is cut (128 in the published code).
    :return: the answers as text, without special tokens, stripped.
    """
    batch = unpack(x, pad_left=model.is_causal)
    training = model.training
    model.eval()
    try:
        settings: dict[str, Any] = {"do_sample": False, "num_beams": 1, "pad_token_id": model.tokenizer.eos_token_id}
        output = model.language_model.generate(
            input_ids=batch.prompt,
            attention_mask=batch.prompt_mask.long(),
            max_new_tokens=max_new_tokens,
            eos_token_id=model.tokenizer.eos_token_id,
            **settings,
        )
    finally:
        model.train(training)
    answers = output[:, batch.prompt.shape[1] :] if model.is_causal else output[:, 1:]
    return [text.strip() for text in model.tokenizer.batch_decode(answers, skip_special_tokens=True)]
