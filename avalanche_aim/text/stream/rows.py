"""Tokenised examples, and one row of fixed length for each.

Avalanche's strategies concatenate, slice and clone ``x`` as one tensor, so each example is one LongTensor::

    [task, target, n_prompt, n_answer, number, prompt tokens …, answer tokens …, -100 …]

``task`` and ``target`` say which labels compete and which class the answer is, ``number`` is the example's place in
its task's split; the model trims the padding.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ..data.tasks import TextExample
from .encoding import HEADER, PAD, Encoder

CHUNK = 256
"""Examples that are tokenised at once: what a tokenizer returns takes many times the room of the tokens."""

Tokens = NDArray[np.int32]


@dataclass(frozen=True)
class EncodedExamples:
    """The tokens of N examples, one after another, without padding.

    :param tokens: prompt, answer, next prompt, and so on; shape (sum of both lengths,).
    :param n_prompt: prompt tokens of each example, shape (N,).
    :param n_answer: answer tokens of each example, end of sequence included, shape (N,).
    :param truncated: how many prompts were shortened.
    """

    tokens: Tokens
    n_prompt: Tokens
    n_answer: Tokens
    truncated: int

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each example, shape (N,)."""
        return self.n_prompt.astype(np.int64) + self.n_answer

    def __len__(self) -> int:
        return len(self.n_prompt)


def encode(encoder: Encoder, examples: Sequence[TextExample]) -> EncodedExamples:
    """Tokenise the prompts of examples, and the answers that are trained on."""
    before, parts = encoder.truncated, []
    n_prompt, n_answer = np.zeros(len(examples), np.int32), np.zeros(len(examples), np.int32)
    for start in range(0, len(examples), CHUNK):
        chunk = examples[start : start + CHUNK]
        texts = list(dict.fromkeys(example.answer for example in chunk))
        answers = dict(zip(texts, encoder.answers(texts), strict=True))
        prompts = encoder.prompts([example.prompt for example in chunk])
        for row, (example, prompt) in enumerate(zip(chunk, prompts, strict=True), start):
            answer = answers[example.answer]
            n_prompt[row], n_answer[row] = len(prompt), len(answer)
            parts.append(np.array(prompt + answer, np.int32))
    tokens = np.concatenate(parts) if parts else np.zeros(0, np.int32)
    return EncodedExamples(tokens, n_prompt, n_answer, encoder.truncated - before)


def row_width(parts: Iterable[EncodedExamples]) -> int:
    """Return the width of a row that holds any of these examples."""
    return HEADER + max(int(part.lengths.max(initial=0)) for part in parts)


class PackedRows(Dataset[tuple[Tensor, int]]):
    """Packed rows with their classes; a row is padded when it is asked for, so that one long example costs only itself.

    :param task: the task's number.
    :param targets: the class of each example.
    :param width: of a row, see :func:`row_width`.
    """

    def __init__(self, task: int, targets: Sequence[int], encoded: EncodedExamples, width: int) -> None:
        rows = len(encoded)
        columns = (np.full(rows, task), targets, encoded.n_prompt, encoded.n_answer, np.arange(rows))
        self.targets, self.width = targets, width
        self._header = np.stack([np.asarray(column, np.int32) for column in columns], 1)
        self._tokens = encoded.tokens
        self._ends: list[int] = np.cumsum(encoded.lengths).tolist()

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        index = range(len(self))[index]
        start, end = (self._ends[index - 1] if index else 0), self._ends[index]
        row = np.full(self.width, PAD, np.int64)  # NumPy: a few times as fast as torch on tensors this small
        row[:HEADER] = self._header[index]
        row[HEADER : HEADER + end - start] = self._tokens[start:end]
        return torch.from_numpy(row), self.targets[index]
