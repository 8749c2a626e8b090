"""Log-probabilities of several answers to each prompt, in one pass where the model allows it.

All answers are laid side by side as *blocks*, after the prompt (causal models) or in the decoder: a token attends to
the prompt and to its own block only. Positions are those that the answer would have alone, so the scores are those of
separate passes. Not every model takes that; :mod:`.measuring` finds the way that is right for one.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..stream.encoding import Batch

ALIGNED = 8
"""Numbers of which a row of an attention mask is a multiple, in memory."""


class Way(Enum):
    """How answers pass through a model; each is slower and asks less of the model than the one before."""

    TOGETHER = "all labels in one pass"
    APART = "one pass a label"
    RIGHT = "one pass a label, with padding on the right"
    ALONE = "one pass a label and length, without padding"


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
    """
    if answer.exact is not None:
        answer.scores.exact_match = answer.exact  # type: ignore[attr-defined]
    return answer.scores


def matches_of(output: Any) -> Tensor | None:
    """Return the exact matches that an output carries, shape (B,), or None."""
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
        """Return one block."""
        mine = self.block == number
        return Blocks(self.tokens[:, mine], self.valid[:, mine], torch.zeros_like(self.block[mine]), self.place[mine])

    def of_rows(self, rows: Tensor) -> "Blocks":
        """Return one block of some rows, without columns that are padding in all of them."""
        used = self.valid[rows].any(0)
        return Blocks(self.tokens[rows][:, used], self.valid[rows][:, used], self.block[used], self.place[used])

    @cached_property
    def is_input(self) -> Tensor:
        """Shape (N,): columns that another token of their block follows, so that a causal model reads them."""
        follows = self.block[1:] == self.block[:-1]
        return torch.cat([follows, follows.new_zeros(1)])


def score(model: Any, batch: Batch, blocks: Blocks, exact: bool, way: Way) -> tuple[Tensor, Tensor | None]:
    """Score the blocks.

    :param exact: whether to say where greedy decoding would give exactly the answer: where at every
        teacher-forced position, end of sequence included, the most probable token is the answer's.
    :return: mean log-probability a token, shape (B, K), and the exact matches, shape (B, K), or None.
    """
    if blocks.count > 1 and way is not Way.TOGETHER:
        parts = [score(model, batch, blocks.only(k), exact, way) for k in range(blocks.count)]
        matches = torch.cat([match for _, match in parts if match is not None], 1) if exact else None
        return torch.cat([means for means, _ in parts], 1), matches
    if way is Way.ALONE:
        lengths = torch.stack([batch.prompt_mask.sum(1), blocks.valid.sum(1)], 1)
        kinds, kind = lengths.unique(dim=0, return_inverse=True)
        if len(kinds) > 1:
            groups = [(kind == number).nonzero()[:, 0] for number in range(len(kinds))]
            parts = [score(model, batch.of_rows(rows), blocks.of_rows(rows), exact, way) for rows in groups]
            back = torch.cat(groups).argsort()
            matches = torch.cat([match for _, match in parts if match is not None])[back] if exact else None
            return torch.cat([means for means, _ in parts])[back], matches
    picked, best = token_scores(model, batch, blocks, way)
    shape = (len(picked), blocks.count)
    total = picked.new_zeros(shape).index_add(1, blocks.block, picked * blocks.valid)
    length = picked.new_zeros(shape).index_add(1, blocks.block, blocks.valid.to(picked.dtype))
    if not exact:
        return total / length, None
    wrong = (best != blocks.tokens) & blocks.valid
    misses = picked.new_zeros(shape).index_add(1, blocks.block, wrong.to(picked.dtype))
    return total / length, misses == 0


def gold_matches(exact: Tensor, columns: list[int], target: Tensor) -> Tensor:
    """Pick each row's exact match of its own answer out of the blocks; open answers are the last block.

    :param exact: shape (B, K).
    :param columns: the class of each block but an open one.
    :param target: the gold classes, shape (B,).
    """
    block = target.new_full((int(target.max()) + 1,), exact.shape[1] - 1)
    for number, column in enumerate(columns):
        if column < len(block):
            block[column] = number
    return exact.gather(1, block[target][:, None])[:, 0]


def token_scores(model: Any, batch: Batch, blocks: Blocks, way: Way) -> tuple[Tensor, Tensor]:
    """Return the log-probability of each token of the blocks, and the most probable token there; both (B, N)."""
    if model.config.is_encoder_decoder:
        logits, source = _seq2seq(model, batch, blocks)
    elif way in (Way.TOGETHER, Way.APART):
        logits, source = _padded_left(model, batch, blocks, masked=way is Way.TOGETHER)
    else:
        logits, source = _padded_right(model, batch, blocks, whole=way is Way.ALONE)
    logits = logits.float()
    rows = torch.arange(len(logits), device=logits.device)[:, None]
    return logits[rows, source, blocks.tokens] - logits.logsumexp(-1)[rows, source], logits.argmax(-1)[rows, source]


def decoder_start(model: Any) -> int | None:
    """Return the token that a sequence-to-sequence model's decoder starts with, or None where it says none."""
    for settings in (model.config, getattr(model, "generation_config", None)):
        if (token := getattr(settings, "decoder_start_token_id", None)) is not None:
            return token
    # Transformers, too, starts with the beginning of a sequence where nothing else is said.
    decoder = getattr(model.config, "decoder", None)
    for settings in (decoder, model.config, getattr(model, "generation_config", None)):
        if (token := getattr(settings, "bos_token_id", None)) is not None:
            return token
    return None


def call(model: Any, **inputs: Any) -> Any:
    """Call a model with those of the inputs that its forward pass takes.

    :param inputs: its inputs; None is left out, and so are positions and the like where it doesn't know them.
    """
    known = inspect.signature(model.forward).parameters
    rest = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    optional = {"position_ids", "decoder_position_ids", "logits_to_keep"}
    given = {name: value for name, value in inputs.items()
             if value is not None and (name in known or (rest and name not in optional))}  # fmt: skip
    return model(**given, **({"use_cache": False} if rest or "use_cache" in known else {}))


def _padded_left(model: Any, batch: Batch, blocks: Blocks, masked: bool) -> tuple[Tensor, Tensor]:
    """Logits at the last prompt token and at each input of the blocks; and for each answer token its position there.

    With ``masked`` the attention mask is made here, and of one form for all batches.
    """
    inputs, prompt_length = blocks.is_input, batch.prompt.shape[1]
    ids = torch.cat([batch.prompt, blocks.tokens[:, inputs]], 1)
    present = torch.cat([batch.prompt_mask, blocks.valid[:, inputs]], 1)
    lengths = batch.prompt_mask.sum(1, keepdim=True)
    positions = torch.cat([batch.prompt_mask.cumsum(1) - 1, lengths + blocks.place[inputs]], 1).clamp(min=0)
    mask = _block_mask(model, present, blocks, prompt_length) if masked else present.long()
    keep = int(ids.shape[1] - prompt_length + 1)
    output = call(model, input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=keep)
    # The token before an answer's first is the last of the prompt, kept position 0.
    number = torch.cumsum(inputs, 0)
    source = torch.where(blocks.place == 0, 0, torch.cat([number.new_zeros(1), number[:-1]]))
    return output.logits[:, -keep:], source


def _block_mask(model: Any, present: Tensor, blocks: Blocks, prompt_length: int) -> Tensor:
    """Each token attends to what comes before it in the prompt and in its own block; shape (B, 1, L, L).

    Padding attends to itself, so that its softmax is defined.
    """
    group = torch.cat([blocks.block.new_full((prompt_length,), -1), blocks.block[blocks.is_input]])
    same = (group[:, None] == group) | (group == -1)
    allowed = same.tril() & present[:, None, None, :] | torch.eye(len(group), dtype=torch.bool, device=group.device)
    return _additive(allowed, model)


def _padded_right(model: Any, batch: Batch, blocks: Blocks, whole: bool) -> tuple[Tensor, Tensor]:
    """The same of one block with padding after the texts: no causal model sees it, so it needs no mask or positions.

    With ``whole`` the last token is an input too, as in Transformers' own loss: some models look at a text's length.
    """
    ids = torch.cat([batch.prompt, blocks.tokens if whole else blocks.tokens[:, blocks.is_input]], 1)
    lengths = batch.prompt_mask.sum(1, keepdim=True)
    padding = batch.prompt.shape[1] - lengths
    columns = torch.arange(ids.shape[1], device=ids.device) + padding
    ids = ids.gather(1, columns.clamp(max=ids.shape[1] - 1)).where(columns < ids.shape[1], 0)
    keep = int(ids.shape[1] - lengths.min() + 1)
    output = call(model, input_ids=ids, logits_to_keep=keep)
    return output.logits[:, -keep:], lengths - lengths.min() + blocks.place


def _seq2seq(model: Any, batch: Batch, blocks: Blocks) -> tuple[Tensor, Tensor]:
    """Logits at every decoder position; each answer token is predicted at its own."""
    start: Any = decoder_start(model)
    shifted = torch.cat([blocks.tokens.new_full((len(blocks.tokens), 1), start), blocks.tokens[:, :-1]], 1)
    ids = torch.where(blocks.place == 0, start, shifted)
    mask, positions = None, None
    if blocks.count > 1:
        # A model that knows relative positions only behaves alike wherever a block stands; others are told positions.
        allowed = (blocks.block[:, None] == blocks.block).tril().expand(len(ids), 1, -1, -1)
        mask, positions = _additive(allowed, model), blocks.place.expand(len(ids), -1)
    output = call(
        model,
        input_ids=batch.prompt,
        attention_mask=batch.prompt_mask.long(),
        decoder_input_ids=ids,
        decoder_attention_mask=mask,
        decoder_position_ids=positions,
    )
    return output.logits, torch.arange(ids.shape[1], device=ids.device)


def _additive(allowed: Tensor, model: Any) -> Tensor:
    """A mask in the precision of the pass, its rows aligned as CUDA's attention kernels ask for: no layer copies it."""
    device = allowed.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else model.dtype
    *rows, length = allowed.shape
    # Never as long as the row itself, which would be another layout to a compiler.
    mask = torch.zeros((*rows, (length // ALIGNED + 1) * ALIGNED), dtype=dtype, device=allowed.device)[..., :length]
    return mask.masked_fill_(~allowed, torch.finfo(dtype).min)
