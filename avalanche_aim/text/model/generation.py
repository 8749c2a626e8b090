"""Answers by real greedy generation: for open tasks, and as a cross-check of the teacher-forced exact match."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ...training.isolation import eval_mode
from ..stream.encoding import Batch, Encoder, pack, unpack
from .scoring import Way, decoder_start

MAX_NEW_TOKENS = 128
"""Tokens after which an answer is cut, as in the published code."""


@torch.no_grad()
def generate(model: Any, x: Tensor, max_new_tokens: int = MAX_NEW_TOKENS) -> list[str]:
    """Answer packed prompts by greedy decoding, all at once, until every row has ended.

    What the model's own ``generation_config`` asks for (sampling, beams, penalties) does not count.

    :param model: a :class:`~avalanche_aim.LanguageModel`; it generates in eval mode and under its own ``autocast``, and
        keeps its mode.
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
    with eval_mode(model), model.mixed_precision(x.device):
        answers = greedy(model.language_model, model.tokenizer, batch, model.finding(x).generation, max_new_tokens)
    return decode(model, answers)


def answer(model: Any, prompts: str | Sequence[str], max_new_tokens: int, max_prompt_tokens: int) -> Any:
    """Answer texts; see :meth:`~avalanche_aim.LanguageModel.generate`."""
    texts = [prompts] if isinstance(prompts, str) else list(prompts)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(f"prompts: expected a text or several, got {prompts!r:.200}")
    if not texts:
        return []
    rows = pack(Encoder(model.tokenizer, max_prompt_tokens).prompts(texts))
    answers = generate(model, rows.to(model.language_model.device), max_new_tokens)
    return answers[0] if isinstance(prompts, str) else answers


def greedy(model: Any, tokenizer: Any, batch: Batch, way: Way, max_new_tokens: int) -> list[list[int]]:
    """Generate the most probable tokens after each prompt, up to the end of the sequence.

    :param way: all at once with padding on the left, or prompts of one length at a time (RIGHT), or each by itself.
    """
    if way in (Way.RIGHT, Way.ALONE):
        lengths = batch.prompt_mask.sum(1)
        apart = lengths if way is Way.RIGHT else torch.arange(len(lengths), device=lengths.device)
        groups = [(apart == number).nonzero()[:, 0] for number in apart.unique()]
        if len(groups) > 1:
            parts = [greedy(model, tokenizer, batch.of_rows(rows), way, max_new_tokens) for rows in groups]
            found = zip(torch.cat(groups).tolist(), [answer for part in parts for answer in part], strict=True)
            return [answer for _, answer in sorted(found)]
    with plain_generation(model, tokenizer, max_new_tokens) as settings:
        mask = None if way in (Way.RIGHT, Way.ALONE) else batch.prompt_mask.long()
        output = model.generate(input_ids=batch.prompt, attention_mask=mask, generation_config=settings)
    # A sequence-to-sequence model's output begins with the decoder's start token, a causal one's with the prompt.
    answers = output[:, 1 if model.config.is_encoder_decoder else batch.prompt.shape[1] :].tolist()
    return [up_to_end(answer, tokenizer) for answer in answers]


def up_to_end(answer: list[int], tokenizer: Any) -> list[int]:
    """Cut what follows the end of the sequence."""
    end = tokenizer.eos_token_id
    return answer[: answer.index(end) + 1] if end in answer else answer


def decode(model: Any, answers: Any) -> list[str]:
    """Return answers as text, without special tokens, stripped.

    :param answers: their tokens: a tensor of shape (B, A) padded with special tokens, or a list of each.
    """
    if not len(answers):
        return []
    texts = model.tokenizer.batch_decode(answers, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return [text.strip() for text in texts]


@contextmanager
def plain_generation(model: Any, tokenizer: Any, max_new_tokens: int) -> Iterator[Any]:
    """Give plain greedy settings, and keep the model's own out of the way.

    Transformers fills what the settings leave open from the model's ``generation_config`` (a repetition penalty,
    say), so that has to be a plain one meanwhile.
    """
    from transformers import GenerationConfig

    pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    tokens = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": pad}
    if model.config.is_encoder_decoder:
        tokens["decoder_start_token_id"] = decoder_start(model)
    own = model.generation_config
    model.generation_config = GenerationConfig(**tokens)
    try:
        yield GenerationConfig(do_sample=False, num_beams=1, max_new_tokens=max_new_tokens, use_cache=True, **tokens)
    finally:
        model.generation_config = own
