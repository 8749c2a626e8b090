"""Tokenised examples, kept on disk by content: a second start reads instead of tokenising.

One file for each task's split, so that orders, benchmarks and runs share them. The key covers the texts, the
tokenizer and the prompt limit; a changed one is a new file. The folder may be deleted at any time.
"""

import hashlib
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from ...storage.files import resolve_cache, write_atomically
from ..data.tasks import TextExample
from ..model.fingerprint import tokenizer_fingerprint
from .encoding import CUE_TOKENS, Encoder
from .rows import EncodedExamples, encode

FORMAT = 3
"""Of the files: to be raised with every change of what they hold or of how an Encoder tokenises."""


class EncodingCache:
    """Tokenises examples, or finds them tokenised.

    :param encoder: tokenises what is not found.
    :param cache: True for the library's cache folder, False for no cache, or a folder.
    """

    def __init__(self, encoder: Encoder, cache: bool | str | Path = True) -> None:
        self.encoder = encoder
        self.folder = resolve_cache(cache, "encoded")
        self._settings = b""
        if self.folder is not None:
            limits = (FORMAT, encoder.style, encoder.max_prompt_tokens, CUE_TOKENS)
            self._settings = f"{limits} {tokenizer_fingerprint(encoder.tokenizer)}\n".encode()

    def encode(self, examples: Sequence[TextExample]) -> EncodedExamples:
        """Return the tokens of examples."""
        if self.folder is None:
            return encode(self.encoder, examples)
        path = self.folder / f"{self._key(examples)}.safetensors"
        if path.is_file():
            try:
                return _read(path, len(examples))
            except (OSError, ValueError, KeyError, SafetensorError) as error:
                warnings.warn(f"{path} is no file of tokens ({error}); tokenising again", stacklevel=2)
        encoded = encode(self.encoder, examples)
        try:
            write_atomically(path, _bytes(encoded))
        except OSError as error:
            line = f"avalanche_aim: tokens are not kept for the next start, {self.folder} can't be written ({error})"
            print(line, file=sys.stderr, flush=True)
            self.folder = None
        return encoded

    def _key(self, examples: Sequence[TextExample]) -> str:
        key = hashlib.sha256(self._settings)
        for example in examples:
            for text in (example.prompt, example.answer):
                content = text.encode("utf-8", "surrogatepass")
                key.update(b"%d:" % len(content))  # or "ab", "c" would be "a", "bc"
                key.update(content)
        return key.hexdigest()


def _bytes(encoded: EncodedExamples) -> bytes:
    arrays = {
        "tokens": encoded.tokens,
        "n_prompt": encoded.n_prompt,
        "n_answer": encoded.n_answer,
        "truncated": np.array([encoded.truncated], np.int32),
    }
    return save({**arrays, "checksum": _checksum(arrays)})


def _checksum(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """The SHA-256 of the arrays, since a flipped bit in the tokens would show nowhere else."""
    content = hashlib.sha256()
    for name in sorted(arrays):
        content.update(f"{name} {arrays[name].dtype} {arrays[name].shape}\n".encode() + arrays[name].tobytes())
    return np.frombuffer(content.digest(), np.uint8)


def _read(path: Path, examples: int) -> EncodedExamples:
    """Read a file of tokens; a ValueError says that it is not as it was written."""
    arrays = load_file(path)
    checksum = arrays.pop("checksum")
    if not np.array_equal(checksum, _checksum(arrays)):
        raise ValueError("its checksum is not that of its content")
    encoded = EncodedExamples(arrays["tokens"], arrays["n_prompt"], arrays["n_answer"], int(arrays["truncated"].sum()))
    if len(encoded) != examples:
        raise ValueError(f"expected {examples} examples, got {len(encoded)}")
    return encoded
