"""Which share of a training batch's positions is padding: as stored, trimmed to the batch, grouped by length."""

from collections.abc import Iterable

import torch
from torch import Tensor
from transformers import AutoTokenizer
from transformers.trainer_pt_utils import LengthGroupedSampler

from avalanche_aim import standard_cl
from avalanche_aim.text.model.sources import resolve_model
from avalanche_aim.text.model.tiny import TINY, tiny_tokenizer
from avalanche_aim.text.stream.encoding import HEADER
from avalanche_aim.text.stream.length_grouping import lengths_of
from benchmarks.figures import Figure, Options

BATCH_SIZE = 8


def figures(options: Options) -> list[Figure]:
    """Count, one value a task of the sample.

    :param options: with what to measure; the model's tokenizer counts.
    """
    tiny = options.is_tiny
    tokenizer = (
        tiny_tokenizer(TINY[options.model]) if tiny else AutoTokenizer.from_pretrained(resolve_model(options.model))
    )
    stored, trimmed, grouped = [], [], []
    for experience in standard_cl(1, tokenizer).train_stream:
        lengths = lengths_of(experience.dataset)
        positions = len(lengths) * (len(experience.dataset[0][0]) - HEADER)
        stored.append(100.0 * (1.0 - float(lengths.sum()) / positions))
        generator = torch.Generator().manual_seed(0)
        order = torch.randperm(len(lengths), generator=generator)
        alike = LengthGroupedSampler(BATCH_SIZE, lengths=lengths.sum(1).tolist(), generator=generator)
        trimmed.append(100.0 * padding_share(lengths[order].split(BATCH_SIZE)))
        grouped.append(100.0 * padding_share(lengths[list(alike)].split(BATCH_SIZE)))
    return [
        Figure("padding of the rows as stored, all tasks of one width", stored, unit=" %"),
        Figure("… of batches trimmed to their longest example (always done)", trimmed, unit=" %"),
        Figure("… and drawn from examples of like length (`LengthGrouping`)", grouped, unit=" %"),
    ]


def padding_share(batches: Iterable[Tensor]) -> float:
    """Return which share of the positions is padding when each batch is as long as its longest prompt and answer.

    :param batches: the lengths of the examples of each batch, shape (B, 2).
    """
    tokens, positions = 0, 0
    for lengths in batches:
        tokens += int(lengths.sum())
        positions += len(lengths) * int(lengths.max(0).values.sum())
    return 1.0 - tokens / positions
