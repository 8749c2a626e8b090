"""Tokenising prompts and answers, and taking batches of packed rows apart (rows.py packs them)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

HEADER = 5
"""Columns before the tokens: task, target, number of prompt tokens, of answer tokens, number of the example."""
LENGTHS = slice(2, 4)
"""The numbers of tokens among them."""
PAD = -100
CUE_TOKENS = 8
"""Of the end of a prompt, which stay where it is shortened."""
Style = Literal["causal", "seq2seq"]


@dataclass(frozen=True)
class AnswerSpace:
    """All answers of a stream that are scored as classes.

    Classes are numbered over the whole stream; tasks that share a label text share the class. If any task is
    open generation, one more class, the last, stands for "the example's own answer", so that closed and open
    tasks mix in one batch and train with one criterion.

    :param texts: the text of each closed class.
    :param tokens: its tokens, end of sequence included.
    :param task_names: the tasks, in stream order.
    :param task_classes: for each task its closed classes; empty for open generation.
    :param style: how rows are encoded.
    :param tokens_end: one more than the highest token of the stream, or 0 where that is not known.
    :param longest: tokens of the longest prompt with its answer, of the longest prompt and of the longest answer; 0
        where that is not known.
    """

    texts: tuple[str, ...]
    tokens: tuple[tuple[int, ...], ...]
    task_names: tuple[str, ...]
    task_classes: tuple[tuple[int, ...], ...]
    style: Style
    tokens_end: int = 0
    longest: tuple[int, int, int] = (0, 0, 0)

    @property
    def open_class(self) -> int | None:
        """The class of open-generation answers, or None where no task is open."""
        return len(self.texts) if any(not classes for classes in self.task_classes) else None

    def __len__(self) -> int:
        return len(self.texts) + (self.open_class is not None)

    def columns(self, task: Tensor, everything: bool) -> tuple[list[int], bool]:
        """Return which closed classes to score for rows, and whether to score each row's own answer besides.

        :param task: task numbers, shape (B,).
        :param everything: whether all classes are wanted, not these tasks' alone.
        """
        if everything:
            return list(range(len(self.texts))), self.open_class is not None
        tasks = [self.task_classes[number] for number in sorted(set(task.tolist()))]
        return sorted({c for classes in tasks for c in classes}), not all(tasks)

    def classes_of(self, task: Tensor) -> Tensor:
        """Return which classes are answers of each row's task, shape (B, C); task numbers have shape (B,)."""
        table = torch.zeros(len(self.task_classes), len(self), dtype=torch.bool)
        for row, classes in zip(table, self.task_classes, strict=True):
            row[list(classes) or [len(self) - 1]] = True
        return table.to(task.device)[task]


class Encoder:
    """Tokenises prompts and answers for one kind of model.

    The kind is that of the :class:`~avalanche_aim.LanguageModel` whose tokenizer it is (:func:`made_for`). Any other
    tokenizer is taken for a sequence-to-sequence model's if it ends its texts with the end-of-sequence token, as T5's
    does. A causal answer begins with a space, as in running text; every answer ends with the end-of-sequence token.
    Special tokens written in an answer are text.

    :param tokenizer: a Hugging Face tokenizer.
    :param max_prompt_tokens: longer prompts lose tokens just before their last :data:`CUE_TOKENS`, so that the
        instruction at the beginning and the answer cue at the end stay.
    :raises ValueError: for a tokenizer without an end-of-sequence token or a limit that leaves no text.
    """

    def __init__(self, tokenizer: Any, max_prompt_tokens: int = 512) -> None:
        if tokenizer.eos_token_id is None:
            raise ValueError(
                "tokenizer: expected one with an end-of-sequence token, got none; say which token ends an answer: "
                'tokenizer.eos_token = "…" (one that it knows)'
            )
        if max_prompt_tokens <= CUE_TOKENS:
            raise ValueError(f"max_prompt_tokens: expected more than {CUE_TOKENS}, got {max_prompt_tokens}")
        self.tokenizer = tokenizer
        self.max_prompt_tokens = max_prompt_tokens
        self.truncated = 0
        self._before, self._after = _added(tokenizer)
        ends = self._after[-1:] == [tokenizer.eos_token_id]
        self.style: Style = getattr(tokenizer, _STYLE, "seq2seq" if ends else "causal")

    def prompts(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokenise prompts.

        :return: token ids of each, at most ``max_prompt_tokens``; ``truncated`` counts the shortened ones.
        """
        if self.style == "seq2seq":
            return [self._truncate(ids) for ids in self._tokenize(texts)]
        # A tokenizer that ends texts by itself would have the prompt end before its answer.
        added = len(self._after)
        prompts = self._tokenize([text.rstrip() for text in texts])
        return [self._truncate(ids[: len(ids) - added] if added else ids) for ids in prompts]

    def answers(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokenise answers, end of sequence included."""
        end = self.tokenizer.eos_token_id
        if self.style == "seq2seq":
            if end in self._after:  # what comes after the end, such as mBART's language, is not part of an answer
                added = len(self._after) - self._after.index(end) - 1
                return [ids[: len(ids) - added] for ids in self._tokenize(texts, answers=True)]
            return [[*ids, end] for ids in self._tokenize(texts, special=False, answers=True)]
        # Some tokenizers treat the start of a text differently, so an answer is tokenised as it follows a cue.
        cue, stripped = "Answer:", [text.strip() for text in texts]
        before = self._tokenize([cue], special=False)[0]
        alone = self._tokenize([f" {text}" for text in stripped], special=False, answers=True)
        whole = self._tokenize([f"{cue} {text}" for text in stripped], special=False, answers=True)
        continuations = [
            ids[len(before) :] if ids[: len(before)] == before else other
            for ids, other in zip(whole, alone, strict=True)
        ]
        return [[*ids, end] for ids in continuations]

    def _tokenize(self, texts: Sequence[str], special: bool = True, answers: bool = False) -> list[list[int]]:
        if not texts:
            return []
        # The limit is ours, not the tokenizer's own, which would warn about long texts.
        options = {"add_special_tokens": special, "return_attention_mask": False, "verbose": False}
        if answers:
            options["split_special_tokens"] = True
        return [list(ids) for ids in self.tokenizer(list(texts), **options).input_ids]

    def _truncate(self, ids: list[int]) -> list[int]:
        if len(ids) <= self.max_prompt_tokens:
            return ids
        self.truncated += 1
        return ids[: self.max_prompt_tokens - CUE_TOKENS] + ids[-CUE_TOKENS:]


_STYLE = "avalanche_aim_style"


def made_for(tokenizer: Any, style: Style) -> None:
    """Let encoders of a tokenizer encode for one kind of model, whatever the tokenizer adds to texts by itself."""
    setattr(tokenizer, _STYLE, style)


def _added(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special tokens that a tokenizer puts before and after a text."""
    whole, plain = (list(tokenizer("text", add_special_tokens=special).input_ids) for special in (True, False))
    for start in range(len(whole) - len(plain) + 1):
        if whole[start : start + len(plain)] == plain:
            return whole[:start], whole[start + len(plain) :]
    return [], []


@dataclass(frozen=True)
class Batch:
    """A batch of packed rows, taken apart and trimmed to its longest prompt and answer.

    Shapes: ``task``, ``target`` and ``number`` (B,); ``prompt`` and ``prompt_mask`` (B, P); ``answer`` and
    ``answer_mask`` (B, A). Padding tokens are 0; the masks say where tokens are.
    """

    task: Tensor
    target: Tensor
    prompt: Tensor
    prompt_mask: Tensor
    answer: Tensor
    answer_mask: Tensor
    number: Tensor

    def of_rows(self, rows: Tensor) -> "Batch":
        """Return some rows, trimmed anew."""
        prompt, answer = self.prompt_mask[rows].any(0), self.answer_mask[rows].any(0)
        prompts = self.prompt[rows][:, prompt], self.prompt_mask[rows][:, prompt]
        answers = self.answer[rows][:, answer], self.answer_mask[rows][:, answer]
        return Batch(self.task[rows], self.target[rows], *prompts, *answers, self.number[rows])


def pack(prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]] | None = None) -> Tensor:
    """Return rows of prompts and answers that belong to no task."""
    pairs = zip(prompts, answers or [()] * len(prompts), strict=True)
    rows = [[0, 0, len(prompt), len(answer), 0, *prompt, *answer] for prompt, answer in pairs]
    width = max(map(len, rows))
    return torch.tensor([row + [PAD] * (width - len(row)) for row in rows])


def prompt_of(row: Tensor) -> list[int]:
    """Return the prompt's tokens of a packed row, shape (L,)."""
    return row[HEADER : HEADER + int(row[2])].tolist()


def unpack(x: Tensor, pad_left: bool) -> Batch:
    """Take packed rows apart.

    :param x: packed rows, shape (B, L).
    :param pad_left: True puts the padding of prompts on the left (causal models), False on the right.
    :raises ValueError: if ``x`` does not hold packed rows.
    """
    if x.dim() != 2 or x.dtype != torch.long or x.shape[1] <= HEADER:
        raise ValueError(
            f"expected packed text rows, a LongTensor of shape (B, L), got {x.dtype} of shape {tuple(x.shape)}; "
            "build the stream with avalanche_aim.text"
        )
    task, target, n_prompt, n_answer, number = x[:, :HEADER].unbind(1)
    length, answer_length = int(n_prompt.max()), int(n_answer.max())
    columns = torch.arange(length, device=x.device)
    offset = columns - (length - n_prompt)[:, None] if pad_left else columns.expand(len(x), -1)
    prompt_mask = (offset >= 0) & (offset < n_prompt[:, None])
    prompt = x.gather(1, HEADER + offset.clamp(min=0)).where(prompt_mask, 0)
    columns = torch.arange(answer_length, device=x.device).expand(len(x), -1)
    answer_mask = columns < n_answer[:, None]
    places = (HEADER + n_prompt[:, None] + columns).clamp(max=x.shape[1] - 1)
    answer = x.gather(1, places).where(answer_mask, 0)
    return Batch(task, target, prompt, prompt_mask, answer, answer_mask, number)
