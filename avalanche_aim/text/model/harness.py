"""A language model in training as lm-evaluation-harness takes one."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch

from ...training.isolation import RandomStream, eval_mode, kept_buffers


@contextmanager
def harness_model(model: Any, batch_size: int) -> Iterator[Any]:
    """Lend a model to lm-evaluation-harness; modes, buffers and random streams are afterwards as they were.

    :param model: a :class:`~avalanche_aim.LanguageModel`, causal or sequence-to-sequence, under its own ``autocast``.
    :param batch_size: texts that pass through it at a time.
    :return: an ``lm_eval`` model, of use inside the ``with`` block alone.
    """
    from lm_eval.models.huggingface import HFLM

    inner = model.language_model
    with RandomStream(0).on(inner.device), eval_mode(inner), kept_buffers(inner):
        yield HFLM(
            pretrained=inner,
            tokenizer=deepcopy(model.tokenizer),  # it may be given a padding token
            backend="causal" if model.is_causal else "seq2seq",
            batch_size=batch_size,
            mixed_precision_dtype=model.autocast,
            softmax_dtype=torch.float32,
        )
