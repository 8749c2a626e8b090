"""Tokenising prompts and answers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avalanche_aim.text.model.tiny import tiny_tokenizer
from avalanche_aim.text.stream.encoding import AnswerSpace, Encoder

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x85\x1c\x1d\x1e\x1f"), max_size=40)
CAUSAL, SEQ2SEQ = tiny_tokenizer("causal"), tiny_tokenizer("seq2seq")


def llama_like_tokenizer() -> Any:
    """Return a tokenizer like Llama 2's: texts begin with <s> and, whatever they are, with one ▁ more for a space."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(content=" ", left=1, right=0)]
    )
    trainer = trainers.BpeTrainer(vocab_size=90, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False)
    tokenizer.train_from_iterator(["Answer: very good very bad sports Business"] * 3, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def merging_tokenizer() -> Any:
    """Return a tokenizer that makes one token of a colon and the space after it."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    characters = [*"Answer: bad"]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(["</s>", *characters, ": "]))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[(":", " ")]))
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>")


# Tokenising


@pytest.mark.parametrize(
    ("tokenizer", "style"), [(CAUSAL, "causal"), (SEQ2SEQ, "seq2seq"), (llama_like_tokenizer(), "causal")]
)
def test_the_style_follows_from_the_tokenizer(tokenizer: Any, style: str) -> None:
    assert Encoder(tokenizer).style == style


@given(TEXTS, TEXTS)
def test_causal_prompt_and_answer_are_the_tokens_of_the_running_text(prompt: str, answer: str) -> None:
    prompt, answer = f"{prompt} Answer:", f"x{answer.strip()}"
    encoder = Encoder(CAUSAL)
    (before,), (after,) = encoder.prompts([prompt]), encoder.answers([answer])
    assert before + after == [*CAUSAL(f"{prompt} {answer}").input_ids, CAUSAL.eos_token_id]


@pytest.mark.parametrize("tokenizer", [CAUSAL, llama_like_tokenizer()])
def test_a_causal_answer_continues_its_cue_as_in_running_text(tokenizer: Any) -> None:
    encoder = Encoder(tokenizer)
    (before,), (after,) = encoder.prompts(["very bad Answer: \n"]), encoder.answers(["very good"])
    joined = tokenizer("very bad Answer: very good").input_ids
    assert before + after == [*joined, tokenizer.eos_token_id]


def test_an_answer_continues_its_cue_even_where_the_tokenizer_joins_both() -> None:
    tokenizer = merging_tokenizer()
    assert len(tokenizer("Answer: bad").input_ids) == len("Answer: bad") - 1
    (answer,) = Encoder(tokenizer).answers(["bad"])
    assert tokenizer.decode(answer) == " bad</s>"


@pytest.mark.parametrize("tokenizer", [CAUSAL, SEQ2SEQ, llama_like_tokenizer()])
def test_an_answer_ends_with_one_end_of_sequence_and_has_no_other_special_token(tokenizer: Any) -> None:
    for answer in Encoder(tokenizer).answers(["good", "very bad"]):
        assert answer[-1] == tokenizer.eos_token_id
        assert not set(answer[:-1]) & set(tokenizer.all_special_ids)


def test_a_causal_prompt_keeps_the_token_that_begins_texts() -> None:
    tokenizer = llama_like_tokenizer()
    assert Encoder(tokenizer).prompts(["very bad Answer:"])[0][0] == tokenizer.bos_token_id


def test_a_seq2seq_prompt_ends_with_the_end_of_sequence() -> None:
    assert Encoder(SEQ2SEQ).prompts(["very bad"]) == [SEQ2SEQ("very bad").input_ids]


def test_nothing_to_encode_is_nothing() -> None:
    for tokenizer in (CAUSAL, SEQ2SEQ):
        assert Encoder(tokenizer).prompts([]) == Encoder(tokenizer).answers([]) == []


# Shortening


@pytest.mark.parametrize("tokenizer", [CAUSAL, SEQ2SEQ])
def test_a_long_prompt_keeps_its_beginning_and_its_cue(tokenizer: Any) -> None:
    text = "Say what it is. " + "many words and more " * 20 + "\nAnswer:"
    whole = tokenizer(text).input_ids
    (short,) = Encoder(tokenizer, max_prompt_tokens=30).prompts([text])
    assert len(short) == 30
    assert short[:22] == whole[:22]
    assert short[22:] == whole[-8:]


def test_a_prompt_that_just_fits_stays_whole() -> None:
    text = "many words and more " * 5 + "Answer:"
    size = len(CAUSAL(text).input_ids)
    encoder = Encoder(CAUSAL, max_prompt_tokens=size)
    assert encoder.prompts([text]) == [CAUSAL(text).input_ids]
    assert encoder.truncated == 0


def test_shortened_prompts_are_counted() -> None:
    encoder = Encoder(CAUSAL, max_prompt_tokens=12)
    encoder.prompts(["short", "many words and more " * 20])
    encoder.prompts(["many words and more " * 9])
    assert encoder.truncated == 2


def test_a_limit_that_leaves_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="max_prompt_tokens: expected more than 8, got 8"):
        Encoder(CAUSAL, max_prompt_tokens=8)


def test_a_tokenizer_without_an_end_of_sequence_is_refused() -> None:
    tokenizer = tiny_tokenizer("causal")
    tokenizer.eos_token = None
    with pytest.raises(ValueError, match=r"end-of-sequence token, got none; .*tokenizer.eos_token = "):
        Encoder(tokenizer)


# The answers of a stream


def space(*task_classes: tuple[int, ...]) -> AnswerSpace:
    return AnswerSpace(("red", "blue"), ((1, 0), (2, 0)), ("a", "b"), task_classes, "causal")


def test_closed_tasks_alone_have_no_class_for_open_answers() -> None:
    answers = space((0,), (0, 1))
    assert answers.open_class is None
    assert len(answers) == 2


def test_an_open_task_adds_one_class_the_last() -> None:
    answers = space((0, 1), ())
    assert answers.open_class == 2
    assert len(answers) == 3
