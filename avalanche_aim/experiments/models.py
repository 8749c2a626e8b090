"""What can be trained, and on which benchmark: the one place that knows of kinds of models.

A *kind* of models is a class with two methods, made from a configuration::

    class Kind:
        def __init__(self, configuration): ...
        def benchmark(self, order: str) -> CLScenario: ...           # experiences carry their task_name
        def model(self, seed: int, benchmark: CLScenario) -> Module:  # what each run of this seed trains a copy of

The model has a ``criterion``; how its answers are scored, :func:`metrics_of` says. The rest of the package trains and
measures any of them alike.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from avalanche.benchmarks import CLScenario
from avalanche.evaluation import PluginMetric
from torch import nn

from .. import beds
from ..evaluation import DEFINITIONS, ResultMatrix, text_metrics
from ..text import LanguageModel
from ..text.model.model_card import Training
from ..text.stream.benchmark import benchmark_tasks, text_benchmark
from .result import Result
from .store import SCORE

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": None}


class Kind(Protocol):
    """See the module."""

    def benchmark(self, order: str) -> CLScenario:
        """Build the stream of one order."""

    def model(self, seed: int, benchmark: CLScenario) -> nn.Module:
        """Return the model that every run of one seed starts from."""


class LanguageModels:
    """Language models on text."""

    def __init__(self, configuration: Any) -> None:
        self.configuration = configuration
        self._model: tuple[int, LanguageModel] | None = None

    def benchmark(self, order: str) -> CLScenario:
        """Build the stream of one order, for the model's tokenizer."""
        asked = self.configuration
        tokenizer = self.model(asked.seeds[0]).tokenizer
        return text_benchmark(_tasks(asked, order, tokenizer), tokenizer, asked.max_prompt_tokens)

    def model(self, seed: int, benchmark: CLScenario | None = None) -> LanguageModel:
        """Load the model of one seed; one backbone is in memory at a time.

        :param seed: of LoRA's weights.
        """
        if self._model is None or self._model[0] != seed:
            self._model = None
            self._model = seed, self._load(seed)
        return self._model[1]

    def _load(self, seed: int) -> LanguageModel:
        asked = self.configuration
        # On a CPU torch's fused attention is the slower one: 6.0 s against 3.5 s a training step of 8 x 160 tokens
        # with SmolLM2-135M in bf16, one thread, torch 2.14. But plain attention keeps all its scores: 14 GB at 8 x 512.
        plain = asked.device.startswith("cpu") and asked.max_prompt_tokens <= 256
        attention: dict[str, Any] = {"attn_implementation": "eager"} if plain else {}
        return LanguageModel.from_pretrained(
            asked.model,
            asked.lora and (_peft(asked.lora_settings()) or True),
            seed=seed,
            autocast=PRECISIONS[asked.precision],
            gradient_checkpointing=asked.gradient_checkpointing,
            compile=asked.compile,
            **attention,
        )


class Features:
    """A small classifier on frozen sentence embeddings of text."""

    def __init__(self, configuration: Any) -> None:
        self.configuration = configuration
        self._embeddings = beds.Embeddings(
            configuration.encoder or beds.DEFAULT_ENCODER, configuration.encoder_tokens, device=configuration.device
        )

    def benchmark(self, order: str) -> CLScenario:
        return beds.feature_benchmark(_tasks(self.configuration, order), self._embeddings)

    def model(self, seed: int, benchmark: CLScenario) -> nn.Module:
        """Make the classifier of one seed."""
        return beds.Head.of(benchmark, seed=seed)


class Digits:
    """A small classifier on images of digits."""

    def __init__(self, configuration: Any) -> None:
        self.configuration = configuration

    def benchmark(self, order: str) -> CLScenario:
        asked = self.configuration
        return beds.digits(_names(order), train_per_task=asked.train_per_task, eval_per_task=asked.eval_per_task)

    model = Features.model


KINDS: dict[str, Callable[[Any], Kind]] = {"language": LanguageModels, "features": Features, "digits": Digits}
"""Name → kind of models."""


def kind_of(model: str) -> str:
    """Name the kind of a model."""
    return {"features": "features", "head": "digits"}.get(model, "language")


def checked_benchmark(kind: Kind, order: str, stream: str) -> CLScenario:
    """Build the stream of one order.

    :raises ValueError: for an unknown order, malformed data, or a stream that some task lacks.
    """
    benchmark = kind.benchmark(order)
    if stream not in benchmark.streams:
        raise ValueError(f"stream: some task has no {stream} split; there are {', '.join(benchmark.streams)}")
    return benchmark


def metrics_of(model: nn.Module, stream: str) -> list[PluginMetric]:
    """Return how the answers of a model are scored; one of the metrics is the matrix R.

    :param stream: that R is measured on.
    """
    if isinstance(model, LanguageModel):
        return text_metrics(stream)
    return [ResultMatrix(stream, beds.LabelScores())]


def save_trained(model: LanguageModel, result: Result, settings: dict[str, Any], folder: Path) -> None:
    """Save the model of a run, with a card made of its result and settings.

    :param folder: of the comparison; the model goes to ``models/<name of the run>`` in it.
    :raises OSError, ValueError: as of :meth:`~avalanche_aim.LanguageModel.save_pretrained`.
    """
    run = {"strategy": result.strategy, "order": result.order, "seed": result.seed}
    merges = {} if result.merges is None else {"merges": result.merges}
    definitions = {**DEFINITIONS, "score": SCORE}
    training = Training(result.tasks, result.r[-1], result.metrics, definitions, {**run, **merges, **settings})
    model.save_pretrained(folder / "models" / result.key.stem, training)


def _tasks(asked: Any, order: str, tokenizer: Any = None) -> Any:
    return benchmark_tasks(
        asked.benchmark,
        _names(order),
        asked.data,
        train_per_task=asked.train_per_task,
        eval_per_task=asked.eval_per_task,
        strict=asked.strict,
        columns=asked.columns or None,
        task_settings=asked.task_settings or None,
        tokenizer=tokenizer,
    )


def _names(order: str) -> str | list[str]:
    names = re.split(r"[,\s]+", order.strip(", "))
    return names if len(names) > 1 else order


def _peft(settings: dict[str, Any]) -> dict[str, Any]:
    """Rename settings of LoRA as PEFT calls them."""
    names = {"rank": "r", "alpha": "lora_alpha", "dropout": "lora_dropout", "targets": "target_modules"}
    plain = {names[name]: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}
    if plain.get("target_modules") == ["all-linear"]:
        plain["target_modules"] = "all-linear"
    return plain
