"""Sentence embeddings: the mean of a Transformer's last hidden states."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

BATCH_TOKENS = 4096
"""Tokens of a batch, padding included."""


class SentenceEncoder:
    """Turns texts into vectors: mean pooling over a text's tokens, then length 1 (Reimers and Gurevych 2019).

    :param folder: files that ``AutoModel`` and ``AutoTokenizer`` load. Of an encoder-decoder model the encoder is used.
    :param max_tokens: longer texts lose their end.
    :raises ValueError: if they hold no text encoder, or one that lacks some of its weights.
    """

    def __init__(self, folder: Path, max_tokens: int = 64, device: str = "cpu") -> None:
        self.max_tokens, self.device = max_tokens, device
        self.tokenizer, self.model = _load(folder)
        self.model.to(device).eval().requires_grad_(False)
        limit = getattr(self.model.config, "max_position_embeddings", None) or max_tokens
        if max_tokens > limit:
            raise ValueError(f"max_tokens: expected at most the encoder's {limit} positions, got {max_tokens}")

    def encode(self, texts: Sequence[str]) -> Iterator[tuple[list[int], Tensor]]:
        """Embed texts, those of like length together.

        :return: for each batch, the positions of its texts and their vectors, shape (B, D), on the CPU.
        """
        options = {"truncation": True, "max_length": self.max_tokens, "return_attention_mask": False, "verbose": False}
        tokens = [list(ids) for ids in self.tokenizer(list(texts), **options).input_ids]
        waiting = sorted(range(len(texts)), key=lambda number: -len(tokens[number]))
        while waiting:
            size = max(1, BATCH_TOKENS // max(1, len(tokens[waiting[0]])))
            batch, waiting = waiting[:size], waiting[size:]
            yield batch, self._embed([tokens[number] for number in batch])

    @torch.inference_mode()
    def _embed(self, tokens: list[list[int]]) -> Tensor:
        width = max(1, *map(len, tokens))
        ids = torch.zeros(len(tokens), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, text in enumerate(tokens):
            ids[row, : len(text)] = torch.tensor(text, dtype=torch.long)
            mask[row, : len(text)] = 1
        ids, mask = ids.to(self.device), mask.to(self.device)
        hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()  # (B, L, D)
        weights = mask.unsqueeze(-1)
        mean = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)
        return torch.nn.functional.normalize(mean, dim=1).cpu()


def _load(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    expected = "encoder: expected a text encoder that AutoModel and AutoTokenizer of Transformers load"
    try:
        with torch.random.fork_rng(devices=[]):  # loading draws random numbers for weights that the files lack
            tokenizer = AutoTokenizer.from_pretrained(folder)
            model, loaded = AutoModel.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
        model = model.get_encoder() if model.config.is_encoder_decoder else model
        probe = tokenizer("a text", return_tensors="pt", return_token_type_ids=False)
        with torch.inference_mode():
            hidden = model.eval()(**probe).last_hidden_state
    except Exception as error:  # of a kind that depends on what the files hold instead
        first = str(error).strip().partition("\n")[0]
        raise ValueError(f"{expected}, got {folder} ({type(error).__name__}: {first:.300})") from error
    missing = [key for key in loaded["missing_keys"] if "pooler" not in key]
    if missing:
        raise ValueError(f"{expected} with all its weights; {folder} lacks {len(missing)} of them ({missing[0]}, …)")
    if hidden.dim() != 3:
        raise ValueError(f"{expected}, got {folder}, whose last hidden state has the shape {tuple(hidden.shape)}")
    return tokenizer, model
