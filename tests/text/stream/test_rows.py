"""Tokenised examples, and one row of fixed length for each."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avalanche_aim.text import TextExample
from avalanche_aim.text.model.tiny import tiny_tokenizer
from avalanche_aim.text.stream.encoding import HEADER, PAD, Encoder, unpack
from avalanche_aim.text.stream.rows import EncodedExamples, PackedRows, encode, row_width

TOKENS = st.lists(st.integers(0, 99), min_size=1, max_size=9)
EXAMPLES = st.lists(st.tuples(st.integers(0, 5), TOKENS, TOKENS), min_size=1, max_size=6)


def encoded(pairs: list[tuple[list[int], list[int]]]) -> EncodedExamples:
    tokens = [token for prompt, answer in pairs for token in prompt + answer]
    lengths = (np.array([len(part) for part in parts], np.int32) for parts in zip(*pairs, strict=True))
    return EncodedExamples(np.array(tokens, np.int32), *lengths, truncated=0)


def packed(task: int, examples: list[Any], spare: int = 0) -> torch.Tensor:
    part = encoded([(prompt, answer) for _, prompt, answer in examples])
    rows = PackedRows(task, [target for target, *_ in examples], part, row_width([part]) + spare)
    return torch.stack([rows[number][0] for number in range(len(rows))])


@given(EXAMPLES, EXAMPLES, st.booleans(), st.integers(0, 3))
def test_unpacking_gives_back_what_was_packed(one: list[Any], other: list[Any], pad_left: bool, spare: int) -> None:
    parts = [packed(task, examples, spare) for task, examples in ((3, one), (8, other))]
    width = max(part.shape[1] for part in parts)
    x = torch.cat([torch.nn.functional.pad(part, (0, width - part.shape[1]), value=PAD) for part in parts])
    batch = unpack(x, pad_left)
    expected = [(task, number, *e) for task, es in ((3, one), (8, other)) for number, e in enumerate(es)]
    for row, (task, number, target, prompt, answer) in enumerate(expected):
        assert (int(batch.task[row]), int(batch.number[row]), int(batch.target[row])) == (task, number, target)
        assert batch.prompt[row][batch.prompt_mask[row]].tolist() == prompt
        assert batch.answer[row][batch.answer_mask[row]].tolist() == answer


@given(EXAMPLES, st.booleans())
def test_a_batch_is_trimmed_and_padded_on_the_side_asked_for(examples: list[Any], pad_left: bool) -> None:
    batch = unpack(packed(0, examples, spare=9), pad_left)
    assert batch.prompt.shape == (len(examples), max(len(prompt) for _, prompt, _ in examples))
    assert batch.answer.shape == (len(examples), max(len(answer) for *_, answer in examples))
    assert batch.prompt_mask[:, -1 if pad_left else 0].all()
    assert batch.answer_mask[:, 0].all()
    assert not batch.prompt[~batch.prompt_mask].any()
    assert not batch.answer[~batch.answer_mask].any()


def test_a_row_is_header_prompt_answer_and_padding() -> None:
    x = packed(2, [(5, [11, 12, 13], [21, 22]), (6, [11], [21])])
    assert x.tolist() == [[2, 5, 3, 2, 0, 11, 12, 13, 21, 22], [2, 6, 1, 1, 1, 11, 21, PAD, PAD, PAD]]
    assert x.dtype == torch.long


def test_the_width_is_that_of_the_longest_example_of_all_parts() -> None:
    parts = [encoded([([1], [2]), ([1, 2, 3], [4])]), encoded([([1, 2], [3, 4, 5])])]
    assert row_width(parts) == HEADER + 5


@pytest.mark.parametrize(
    "x", [torch.zeros(2, 9), torch.zeros(9, dtype=torch.long), torch.zeros(2, 5, dtype=torch.long)]
)
def test_anything_but_packed_rows_is_refused(x: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"expected packed text rows.*build the stream with avalanche_aim.text"):
        unpack(x, True)


@pytest.mark.parametrize("size", [0, 1, 300])  # 300: more than are tokenised at once
def test_examples_are_tokenised_one_after_another(size: int) -> None:
    tokenizer = tiny_tokenizer("causal")
    examples = [TextExample(f"number {i}:", (f"answer {i % 7}", "never trained on")) for i in range(size)]
    part = encode(Encoder(tokenizer), examples)
    assert len(part) == size
    assert tokenizer.decode(part.tokens) == "".join(f"{e.prompt} {e.answer}</s>" for e in examples)
    assert part.lengths.sum() == len(part.tokens)


def test_shortened_prompts_of_these_examples_alone_are_counted() -> None:
    encoder = Encoder(tiny_tokenizer("causal"), max_prompt_tokens=12)
    examples = [TextExample("many words and more " * 9, ("yes",)), TextExample("short", ("yes",))]
    assert [encode(encoder, examples).truncated, encode(encoder, examples[:1]).truncated] == [1, 1]
    assert encoder.truncated == 2
