"""Log-probabilities of several answers to each prompt, in one pass that encodes the prompt once.

All answers are laid side by side as *blocks*, after the prompt (causal models) or in the decoder (T5): a token
attends to the prompt and to its own block only. Positions are those that the answer would have alone, so the
scores are those of separate passes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..stream.encoding import Batch


class AnswerScores(NamedTuple):
    """What one call of a language model says of answers.

    :param scores: mean log-probability a token of each answer, shape (B, C).
    :param exact: whether greedy decoding gives exactly the gold answer, shape (B,), or None in training.
    """

    scores: Tensor
    exact: Tensor | None


def with_matches(answer: AnswerScores) -> Tensor:
    """Return the scores as a plain tensor that carries the exact matches along.

    Avalanche's strategies keep one output tensor a batch; its metrics find the matches of just that batch there.

    :param answer: scores and matches.
    """
    if answer.exact is not None:
        answer.scores.exact_match = answer.exact  # type: ignore[attr-defined]
    return answer.scores


def matches_of(output: Any) -> Tensor | None:
    """Return the exact matches that an output carries, shape (B,), or None.

    :param output: of a language model.
    """
    return getattr(output, "exact_match", None)


@dataclass(frozen=True)
class Blocks:
    """Answers laid side by side, N tokens in K blocks.

    :param tokens: shape (B, N); 0 where a block is padded.
    :param valid: shape (B, N), where tokens are.
    :param block: shape (N,), the block of each column, ascending.
    :param place: shape (N,), each column's place in its block, from 0.
    """

    tokens: Tensor
    valid: Tensor
    block: Tensor
    place: Tensor

    @classmethod
    def of(cls, candidates: Sequence[Sequence[int]], batch: Batch, own: bool) -> "Blocks":
        """Lay out answers.

        :param candidates: answers that are scored for every row.
        :param batch: the rows.
        :param own: whether each row's own answer follows as a last block.
        """
        device, rows = batch.answer.device, len(batch.answer)
        flat = [token for answer in candidates for token in answer]
        lengths = [len(answer) for answer in candidates]
        tokens = torch.tensor(flat, dtype=torch.long, device=device).expand(rows, -1)
        valid = torch.ones_like(tokens, dtype=torch.bool)
        if own:
            lengths.append(batch.answer.shape[1])
            tokens, valid = torch.cat([tokens, batch.answer], 1), torch.cat([valid, batch.answer_mask], 1)
        size = torch.tensor(lengths, device=device)
        block = torch.repeat_interleave(torch.arange(len(lengths), device=device), size)
        starts = torch.cumsum(size, 0) - size
        place = torch.arange(len(block), device=device) - starts[block]
        return cls(tokens, valid, block, place)

    @cached_property
    def count(self) -> int:
        """K, the number of blocks."""
        return int(self.block[-1]) + 1

    def only(self, number: int) -> "Blocks":
        """Return one block.

        :param number: which, from 0.
        """
        mine = self.block == number
        return Blocks(self.tokens[:, mine], self.valid[:, mine], torch.zeros_like(self.block[mine]), self.place[mine])

    @cached_property
    def is_input(self) -> Tensor:
        """Shape (N,): columns that another token of their block follows, so that a causal model reads them."""
        follows = self.block[1:] == self.block[:-1]
        return torch.cat([follows, follows.new_zeros(1)])


def score(model: Any, batch: Batch, blocks: Blocks, exact: bool) -> tuple[Tensor, Tensor | None]:
    """Score the blocks.

    :param model: a Hugging Face model, causal or T5-like.
    :param batch: the prompts.
    :param blocks: the answers.
    :param exact: whether to say where greedy decoding would give exactly the answer: where at every
        teacher-forced position, end of sequence included, the most probable token is the answer's.
    :return: mean log-probability a token, shape (B, K), and the exact matches, shape (B, K), or None.
    """
    if blocks.count > 1 and not _takes_our_mask(model.config, batch.prompt.shape[1] + blocks.tokens.shape[1]):
        parts = [score(model, batch, blocks.only(k), exact) for k in range(blocks.count)]
        matches = torch.cat([match for _, match in parts if match is not None], 1) if exact else None
        return torch.cat([means for means, _ in parts], 1), matches
    logits, source = (_seq2seq if model.config.is_encoder_decoder else _causal)(model, batch, blocks)
    logits = logits.float()
    rows = torch.arange(len(logits), device=logits.device)[:, None]
    picked = logits[rows, source, blocks.tokens] - logits.logsumexp(-1)[:, source]
    shape = (len(logits), blocks.count)
    total = picked.new_zeros(shape).index_add(1, blocks.block, picked * blocks.valid)
    length = picked.new_zeros(shape).index_add(1, blocks.block, blocks.valid.to(picked.dtype))
    if not exact:
        return total / length, None
    wrong = (logits.argmax(-1)[:, source] != blocks.tokens) & blocks.valid
    misses = picked.new_zeros(shape).index_add(1, blocks.block, wrong.to(picked.dtype))
    return total / length, misses == 0


def _takes_our_mask(config: Any, length: int) -> bool:
    """Say whether a mask of our own works; if not, each answer has its own pass."""
    window = getattr(config, "sliding_window", None)  # which our mask would replace
    flash = "flash" in str(getattr(config, "_attn_implementation", ""))  # knows padding masks only
    return not flash and (window is None or window >= length)


def _causal(model: Any, batch: Batch, blocks: Blocks) -> tuple[Tensor, Tensor]:
    """Logits at the last prompt token and at each input of the blocks; and for each answer token its position there."""
    inputs, prompt_length = blocks.is_input, batch.prompt.shape[1]
    ids = torch.cat([batch.prompt, blocks.tokens[:, inputs]], 1)
    present = torch.cat([batch.prompt_mask, blocks.valid[:, inputs]], 1)
    lengths = batch.prompt_mask.sum(1, keepdim=True)
    positions = torch.cat([batch.prompt_mask.cumsum(1) - 1, lengths + blocks.place[inputs]], 1).clamp(min=0)
    mask = present.long() if blocks.count == 1 else _causal_mask(model, present, blocks, prompt_length)
    keep = int(ids.shape[1] - prompt_length + 1)
    output = model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=keep)
    # The token before an answer's first is the last of the prompt, kept position 0.
    number = torch.cumsum(inputs, 0)
    source = torch.where(blocks.place == 0, 0, torch.cat([number.new_zeros(1), number[:-1]]))
    return output.logits, source


def _causal_mask(model: Any, present: Tensor, blocks: Blocks, prompt_length: int) -> Tensor:
    """Each token attends to what comes before it in the prompt and in its own block; shape (B, 1, L, L)."""
    group = torch.cat([blocks.block.new_full((prompt_length,), -1), blocks.block[blocks.is_input]])
    same = (group[:, None] == group) | (group == -1)
    allowed = same.tril() & present[:, None, None, :]
    return _additive(allowed, model)


def _seq2seq(model: Any, batch: Batch, blocks: Blocks) -> tuple[Tensor, Tensor]:
    """Logits at every decoder position; each answer token is predicted at its own."""
    start = model.config.decoder_start_token_id
    shifted = torch.cat([blocks.tokens.new_full((len(blocks.tokens), 1), start), blocks.tokens[:, :-1]], 1)
    ids = torch.where(blocks.place == 0, start, shifted)
    mask = None
    if blocks.count > 1:
        # T5 knows relative positions only, so a block behaves alike wherever it stands.
        allowed = (blocks.block[:, None] == blocks.block).tril().expand(len(ids), 1, -1, -1)
        mask = _additive(allowed, model)
    output = model(
        input_ids=batch.prompt,
        attention_mask=batch.prompt_mask.long(),
        decoder_input_ids=ids,
        decoder_attention_mask=mask,
        use_cache=False,
    )
    return output.logits, torch.arange(ids.shape[1], device=ids.device)


def _additive(allowed: Tensor, model: Any) -> Tensor:
    mask = torch.zeros(allowed.shape, dtype=model.dtype, device=allowed.device)
    return mask.masked_fill(~allowed, torch.finfo(model.dtype).min)
