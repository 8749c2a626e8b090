"""Which way of scoring is right for a model is measured: its fast way is compared with labels one by one.

A few rows of the stream, cut or repeated to a length that matters, are scored in every :class:`~.scoring.Way` until
one agrees with rows that pass through the model alone, without padding, as Transformers' own loss has them. Windows,
chunks and limits of positions are numbers in a model's configuration, whatever their names; so the rows are made longer
than the largest such number below the stream's longest row.
"""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...distributed import world_size
from ...storage.files import cache_dir, digest, write_atomically
from ...training.isolation import RandomStream, eval_mode
from ..stream.encoding import HEADER, Batch, pack, prompt_of, unpack
from .fingerprint import structure_fingerprint
from .generation import plain_generation, up_to_end
from .scoring import Blocks, Way, score, token_scores

SIZES = ("hidden_size", "intermediate_size", "vocab_size", "head_dim", "pretraining_tp")
"""Numbers of a configuration that are no lengths; nor are those whose names begin with num_ or end in _id."""
SHORT = 12
"""Prompt tokens of rows whose length does not matter."""
FORMAT = 3
"""Of what is kept: to be raised with every change of what is measured."""
GENERATED = 3
"""Tokens that are generated to compare with the most probable ones."""


@dataclass(frozen=True)
class Finding:
    """How to score with a model.

    :param way: the way that is right for every row of the stream.
    :param together_below: packed rows shorter than this pass together all the same.
    :param reason: why not together, or "".
    :param generation: how answers are generated: padded on the left, from prompts of one length, or one at a time.
    """

    way: Way
    together_below: int = 0
    reason: str = ""
    generation: Way = Way.APART

    def way_of(self, length: int) -> Way:
        """Return the way for a batch.

        :param length: tokens of its longest prompt and of all answers together.
        """
        return Way.TOGETHER if length < self.together_below else self.way


_FOUND: dict[str, Finding] = {}


def find(model: Any, x: Tensor, labels: Sequence[Sequence[int]]) -> Finding:
    """Return how to score with a language model: as found before for one of its fingerprint, or measured now.

    What was found is kept in the library's cache folder, and said once a process where it makes the model slower.

    :param x: packed rows of the stream, as wide as its longest.
    """
    inner = model.language_model
    sizes = [len(label) for label in labels]
    key = digest([FORMAT, structure_fingerprint(model), str(x.device.type), x.shape[1], sizes])
    if key not in _FOUND:
        path = cache_dir() / "ways" / f"{key}.json"
        # Several processes must pass the same number of times through a sharded model.
        finding = None if world_size() > 1 else _read(path)
        if finding is None:
            finding = measure(inner, model.tokenizer, x, labels, lambda: model.mixed_precision(x.device))
            content = {**asdict(finding), "way": finding.way.name, "generation": finding.generation.name}
            with suppress(OSError):
                write_atomically(path, json.dumps(content).encode())
        _FOUND[key] = finding
        if finding.way is not Way.TOGETHER:
            limit = f" from {finding.together_below} tokens on" if finding.together_below else ""
            warnings.warn(
                f"{inner.config.model_type} is scored in {finding.way.value}{limit}, which is slower; all labels in "
                f"one pass: {finding.reason}",
                stacklevel=2,
            )
    return _FOUND[key]


def _read(path: Path) -> Finding | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        below, reason = int(content["together_below"]), str(content["reason"])
        return Finding(Way[content["way"]], below, reason, Way[content["generation"]])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def measure(
    model: Any,
    tokenizer: Any,
    x: Tensor,
    labels: Sequence[Sequence[int]],
    precision: Callable[[], AbstractContextManager[Any]],
) -> Finding:
    """Find the fastest way that is right.

    :param x: packed rows of the stream, as wide as its longest.
    :param labels: the tokens of the labels that pass together; none where all tasks are open.
    :raises ValueError: if no way is right; the message says what was found.
    """
    with torch.no_grad(), RandomStream(0).on(x.device), eval_mode(model), precision():
        return _Measurement(model, tokenizer, x, labels).finding()


class _Measurement:
    def __init__(self, model: Any, tokenizer: Any, x: Tensor, labels: Sequence[Sequence[int]]) -> None:
        self.model, self.tokenizer, self.x = model, tokenizer, x
        self.kind = model.config.model_type
        own = [row[HEADER + int(row[2]) :][: int(row[3])].tolist() or prompt_of(row)[-2:] for row in x[[0, -1]]]
        self.labels = list(dict.fromkeys(map(tuple, labels))) or [tuple(answer) for answer in own]
        self.longest = x.shape[1] - HEADER
        self.packed = self.longest + sum(map(len, self.labels))
        dtype = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else model.dtype
        self.rounding = torch.finfo(dtype).eps

    def finding(self) -> Finding:
        numbers = sorted({n for n in _numbers(self.model.config.to_dict()) if n < self.packed})
        reach = max(numbers, default=0)
        reasons: dict[Way, str] = {}
        ways = [way for way in Way if way is not Way.RIGHT or not self.model.config.is_encoder_decoder]
        try:
            case = _Case(self, reach)
        except _NotCausal as error:
            raise ValueError(
                f"expected a language model that predicts a token from those before it alone, got {self.kind}: {error}"
            ) from error
        except Exception as error:
            raise ValueError(
                f"expected a language model that scores texts of {self.longest} tokens, got {self.kind}, "
                f"which does not: {_words(error)}"
            ) from error
        for way in ways:
            if not (reason := case.fault(way)):
                below = self._together_below(numbers) if way is not Way.TOGETHER else 0
                return Finding(way, below, reasons.get(Way.TOGETHER, ""), self._generation(case, way))
            reasons[way] = reason
        said = "; ".join(f"{way.value}: {reason}" for way, reason in reasons.items())
        raise ValueError(f"expected a language model whose scores do not depend on the batch, got {self.kind} ({said})")

    def _generation(self, case: "_Case", scored: Way) -> Way:
        """The fastest way of generating that gives what is scored."""
        fault = ""
        for way in (Way.APART, Way.RIGHT, Way.ALONE):
            if way is not Way.APART or scored in (Way.TOGETHER, Way.APART):
                fault = case.generation_fault(way)
                if not fault:
                    return way
        raise ValueError(f"expected a language model that generates as it scores, got {self.kind}: {fault}")

    def _together_below(self, numbers: list[int]) -> int:
        """The packed length from which on labels can't pass together, where shorter rows can."""
        if len(self.labels) < 2 or _Case(self, 0).fault(Way.TOGETHER):
            return 0
        for place, number in reversed(list(enumerate(numbers))):
            below = numbers[place - 1] if place else 0
            if not _Case(self, below).fault(Way.TOGETHER):
                return number
        return 0


class _Case:
    """A long row and a short one, whose scores one at a time are known."""

    def __init__(self, of: _Measurement, reach: int) -> None:
        self.of, self.model, self.reach = of, of.model, reach
        first = of.labels[0]
        last = next((label for label in of.labels[1:] if len(label) != len(first)), of.labels[-1])
        # Packed rows, and where the stream has such, prompts too, are longer than the number
        room = max(2, of.longest - max(len(first), len(last)))
        long = min(room, max(SHORT, reach + 2 + GENERATED))
        short = min(max(1, long - 5), SHORT // 2)
        rows = zip(of.x[[0, -1]], (long, short), strict=True)
        self.long, self.short = (_resized(prompt_of(row) or list(first), size) for row, size in rows)
        between: list[tuple[int, ...]] = []
        for label in of.labels[1:]:
            if long + len(first) + len(last) + sum(map(len, between)) > reach + 1:
                break
            between.append(label)
        self.labels = [first, *between, last]
        shorter, ((alone,), _) = [], self._tokens([self.long], [last])
        if reach:  # dynamic RoPE keeps what a longer text asked for
            for text in (self.short, self.long[GENERATED:], self.long, self.long[GENERATED:]):
                shorter.append(self._tokens([text], [last])[0])
        # The same first token, and others after it: a causal model does not see these
        follows, others = [*last, *first], [last[0], *(self.short[-1] for _ in [*last[1:], *first])]
        (short_alone, changed), _ = self._tokens([self.short] * 2, [follows, others])
        self.truth = torch.stack([alone.mean(), short_alone[: len(last)].mean()])
        self.scale = 1 + float(self.truth.abs().max())
        self.close = self.scale * max(1e-5, of.rounding)
        if shorter and (off := float((shorter[1] - shorter[3]).abs().max())) > self.close:
            raise _NotCausal(f"a text's score changes by {off:.2g} after a longer one")
        if (off := float((short_alone[0] - changed[0]).abs())) > self.close:
            raise _NotCausal(f"a token's score changes by {off:.2g} with the tokens after it")

    def _batch(self, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> Batch:
        x = pack(prompts, answers).to(self.of.x.device)
        return unpack(x, pad_left=not self.model.config.is_encoder_decoder)

    def _tokens(self, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Score the tokens of answers of one length to prompts of one length."""
        batch = self._batch(prompts, answers)
        return token_scores(self.model, batch, Blocks.of([], batch, own=True), Way.ALONE)

    def generation_fault(self, way: Way) -> str:
        """Say what is wrong with generating this way; "" if nothing is."""
        # Up to a number that matters, and beyond it
        long = self.long[-max(1, min(len(self.long) - GENERATED, self.reach - 1 if self.reach else len(self.long))) :]
        prompts = {
            Way.APART: [long, self.short],
            Way.RIGHT: [long, [*long[1:], long[0]]],
            Way.ALONE: [long],
        }[way]
        batch = self._batch(prompts, [()] * len(prompts))
        try:
            with plain_generation(self.model, self.of.tokenizer, GENERATED) as settings:
                settings.update(return_dict_in_generate=True, output_logits=True)
                mask = batch.prompt_mask.long() if way is Way.APART else None
                output = self.model.generate(input_ids=batch.prompt, attention_mask=mask, generation_config=settings)
        except Exception as error:
            return f"it does not generate ({_words(error)})"
        own = torch.stack(output.logits, 1).float().log_softmax(-1)
        for prompt, row, scores in zip(prompts, output.sequences[:, -own.shape[1] :].tolist(), own, strict=True):
            answer = up_to_end(row, self.of.tokenizer)
            (forced,), _ = self._tokens([prompt], [answer])
            generated = scores[torch.arange(len(answer)), answer].to(forced.device)
            if not (off := float((generated - forced).abs().max())) <= self.close:
                return f"a token scores {off:.2g} otherwise when it is generated"
        return ""

    def fault(self, way: Way) -> str:
        """Say what is wrong with a way; "" if nothing is."""
        last, own = len(self.labels) - 1, len(self.labels)
        answers = [self.labels[last], self.labels[last], self.labels[0]]
        batch = self._batch([self.long, self.short, self.short], answers)
        blocks = Blocks.of(self.labels, batch, own=True)
        # The third row is the second one but for what it must not see: padding, and labels before the last.
        tokens, prompt = blocks.tokens.clone(), batch.prompt.clone()
        tokens[2, blocks.block < last] = self.long[0]
        prompt[2] = prompt[2].where(batch.prompt_mask[2], self.long[0])
        try:
            means, _ = score(self.model, replace(batch, prompt=prompt), replace(blocks, tokens=tokens), False, way)
        except Exception as error:
            return _words(error)
        if not bool(means.isfinite().all()):
            return "scores are not finite"
        if (off := float((means[:2, [last, own]] - self.truth[:, None]).abs().max())) > self.close:
            return f"scores differ by {off:.2g} from those of texts alone"
        if (leak := float((means[1, last] - means[2, last]).abs())) > self.scale * max(1e-6, self.of.rounding / 2):
            return f"a score changes by {leak:.2g} with other labels or padding"
        return ""


class _NotCausal(Exception):
    """A model does not predict each token from those before it alone."""


def _numbers(settings: Any, name: str = "") -> Iterator[int]:
    """All numbers of a configuration that could be a length."""
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            yield from _numbers(value, str(key))
    elif isinstance(settings, (list, tuple)):
        for value in settings:
            yield from _numbers(value, name)
    elif (
        isinstance(settings, int)
        and settings > SHORT
        and not (name in SIZES or name.startswith("num_") or name.endswith("_id"))
    ):
        yield settings


def _resized(tokens: list[int], size: int) -> list[int]:
    """The last tokens of a text, which is repeated if it is too short."""
    return (tokens * -(-size // len(tokens)))[-size:]


def _words(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
