"""Tokenised once, and packed into the same rows every time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from avalanche_aim.text import TextExample, TextTask, text_benchmark
from avalanche_aim.text.model.fingerprint import tokenizer_fingerprint
from avalanche_aim.text.model.tiny import tiny_tokenizer
from avalanche_aim.text.stream.cache import EncodingCache
from avalanche_aim.text.stream.encoding import HEADER, PAD, Encoder, unpack
from avalanche_aim.text.stream.rows import PackedRows, encode, row_width

EXAMPLES = tuple(TextExample(f"question {'very ' * (row % 90)}long?", (f"answer {row % 3}",)) for row in range(300))


@pytest.fixture(scope="module", params=["causal", "seq2seq"])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return tiny_tokenizer(request.param)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The number of prompts of each call that tokenised prompts."""
    sizes: list[int] = []
    prompts = Encoder.prompts

    def counted(self: Encoder, texts: list[str]) -> list[list[int]]:
        sizes.append(len(texts))
        return prompts(self, texts)

    monkeypatch.setattr(Encoder, "prompts", counted)
    yield sizes


def same(one: Any, other: Any) -> bool:
    arrays = ("tokens", "n_prompt", "n_answer")
    return one.truncated == other.truncated and all((getattr(one, a) == getattr(other, a)).all() for a in arrays)


def test_second_start_tokenises_nothing(tokenizer: Any, tmp_path: Path, calls: list[int]) -> None:
    first = EncodingCache(Encoder(tokenizer, 64), tmp_path).encode(EXAMPLES)
    assert sum(calls) == len(EXAMPLES)
    second = EncodingCache(Encoder(tokenizer, 64), tmp_path).encode(EXAMPLES)
    assert sum(calls) == len(EXAMPLES) and same(first, second) and first.truncated > 0


def test_cached_tokens_are_those_without_cache(tokenizer: Any, tmp_path: Path) -> None:
    EncodingCache(Encoder(tokenizer), tmp_path).encode(EXAMPLES)
    cached = EncodingCache(Encoder(tokenizer), tmp_path).encode(EXAMPLES)
    assert same(cached, EncodingCache(Encoder(tokenizer), False).encode(EXAMPLES))


@pytest.mark.parametrize(
    "changed",
    [EXAMPLES[::-1], EXAMPLES[1:], (TextExample("question long?a", ("nswer 0",)), *EXAMPLES[1:])],
    ids=["order", "number", "border of prompt and answer"],
)
def test_other_examples_are_tokenised(
    tokenizer: Any, tmp_path: Path, calls: list[int], changed: tuple[TextExample, ...]
) -> None:
    EncodingCache(Encoder(tokenizer), tmp_path).encode(EXAMPLES)
    EncodingCache(Encoder(tokenizer), tmp_path).encode(changed)
    assert sum(calls) == len(EXAMPLES) + len(changed)


def test_other_limit_and_other_tokenizer_are_tokenised(tmp_path: Path, calls: list[int]) -> None:
    small, large = tiny_tokenizer("causal", 400), tiny_tokenizer("causal", 500)
    for encoder in (Encoder(small), Encoder(small, 64), Encoder(large)):
        EncodingCache(encoder, tmp_path).encode(EXAMPLES[:5])
    assert sum(calls) == 15


def test_fingerprint_ignores_what_a_call_leaves_behind(tokenizer: Any) -> None:
    before = tokenizer_fingerprint(tokenizer)
    tokenizer(["a", "a b c"], padding=True, truncation=True, max_length=2)
    assert tokenizer_fingerprint(tokenizer) == before


def test_added_token_changes_the_fingerprint() -> None:
    tokenizer = tiny_tokenizer("causal", 400)
    before = tokenizer_fingerprint(tokenizer)
    tokenizer.add_tokens(["question"])
    assert tokenizer_fingerprint(tokenizer) != before


@pytest.mark.parametrize("damage", ["empty", "short", "text", "other", "flipped"])
def test_corrupt_file_is_made_again_with_a_warning(tokenizer: Any, tmp_path: Path, damage: str) -> None:
    cache = EncodingCache(Encoder(tokenizer), tmp_path)
    first = cache.encode(EXAMPLES)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    cache.encode(EXAMPLES[:5])
    other = next(path for path in tmp_path.iterdir() if path != file).read_bytes()
    flipped = whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]  # in the tokens, as safetensors reads it
    damaged = {"empty": b"", "short": whole[:-9], "text": b"no tokens at all", "other": other, "flipped": flipped}
    file.write_bytes(damaged[damage])
    with pytest.warns(UserWarning, match="tokenising again"):
        assert same(cache.encode(EXAMPLES), first)
    assert file.read_bytes() == whole


def test_unwritable_folder_costs_only_the_cache(
    tokenizer: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    cache = EncodingCache(Encoder(tokenizer), tmp_path / "file" / "folder")
    assert len(cache.encode(EXAMPLES)) == len(cache.encode(EXAMPLES)) == 300
    assert capsys.readouterr().err.count("tokens are not kept") == 1


def test_rows_hold_header_prompt_answer_and_padding(tokenizer: Any) -> None:
    encoder = Encoder(tokenizer)
    encoded = encode(encoder, EXAMPLES[:3])
    rows = PackedRows(7, [4, 5, 6], encoded, row_width([encoded]) + 2)
    prompt, answer = encoder.prompts([EXAMPLES[1].prompt])[0], encoder.answers([EXAMPLES[1].answer])[0]
    x, target = rows[1]
    content = [7, 5, len(prompt), len(answer), 1, *prompt, *answer]
    assert x.tolist() == [*content, *[PAD] * (len(x) - len(content))]
    assert x.dtype == torch.long and target == 5 and HEADER == 5
    assert torch.equal(rows[-1][0], rows[2][0])
    with pytest.raises(IndexError):
        rows[3]


def test_unpacking_gives_back_numbers_and_tokens(tokenizer: Any) -> None:
    encoded = encode(Encoder(tokenizer), EXAMPLES[:4])
    rows = PackedRows(0, [0] * 4, encoded, row_width([encoded]))
    batch = unpack(torch.stack([rows[3][0], rows[1][0]]), pad_left=False)
    assert batch.number.tolist() == [3, 1]
    assert batch.prompt[batch.prompt_mask].dtype == torch.long
    assert batch.answer_mask.sum(1).tolist() == [int(encoded.n_answer[3]), int(encoded.n_answer[1])]


def test_long_example_costs_only_itself(tokenizer: Any) -> None:
    long = TextExample("word " * 5000, ("yes",))
    encoded = encode(Encoder(tokenizer, 20_000), (*EXAMPLES[:100], long))
    assert encoded.tokens.nbytes < 4 * 2 * int(encoded.lengths.max() + encoded.lengths[:100].sum())


def test_benchmark_counts_shortened_prompts_from_the_cache(tokenizer: Any, tmp_path: Path) -> None:
    task = TextTask("one", EXAMPLES, (), EXAMPLES[:9], ("answer 0", "answer 1", "answer 2"))
    first, second = (text_benchmark([task], tokenizer, 64, cache=tmp_path) for _ in range(2))
    assert first.truncated == second.truncated > 0
    assert len(list(tmp_path.iterdir())) == 2


def test_benchmark_without_cache_writes_nothing(tokenizer: Any, own_cache: Path) -> None:
    text_benchmark([TextTask("one", EXAMPLES[:9], (), EXAMPLES[:9], None)], tokenizer, cache=False)
    assert not list(own_cache.iterdir())
