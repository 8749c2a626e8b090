"""What a comparison is asked to do."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch
from avalanche.benchmarks import CLScenario

from ..rehearsal.memory import RehearsalMemory
from ..text import DEFAULT_MODEL, LanguageModel, long_sequence, standard_cl, superni
from ..training.learning_rate import LearningRateSchedule
from .runner import Settings
from .strategies import STRATEGIES, check_strategies

BENCHMARKS: dict[str, tuple[Callable[..., CLScenario], str]] = {
    "standard_cl": (standard_cl, "1"),
    "long_sequence": (long_sequence, "4"),
    "superni": (superni, "1"),
}
"""Name → what builds it, and its first order."""
PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": None}
VARIED = ("orders", "strategies", "seeds", "options", "fwt", "strict", "save_models")
"""Fields that may differ between runs kept in one folder."""


@dataclass(frozen=True)
class Configuration:
    """One comparison: benchmark × strategies × orders × seeds, and all that they share.

    :param benchmark: a key of :data:`BENCHMARKS`.
    :param data: "hub" or a folder; for standard_cl also "sample", the default there.
    :param orders: orders by number or name, or tasks separated by commas; the benchmark's first by default.
    :param model: a Hugging Face id, a folder, "tiny" or "tiny-t5".
    :param strategies: keys of :data:`~avalanche_aim.experiments.STRATEGIES`.
    :param seeds: of LoRA's weights, data order, dropout and the memory; the data's sub-sample is always the same.
    :param epochs: passes over each task's training data.
    :param batch_size: training examples of an iteration, of all processes together.
    :param learning_rate: of AdamW.
    :param memory: rehearsed of each past task, a fraction (float) or a count (int).
    :param train_per_task: training examples a task, or None for all.
    :param eval_per_task: evaluated examples a task, or None for all.
    :param stream: "test" or "dev".
    :param fwt: whether each task is trained on alone as well, for forward transfer.
    :param max_prompt_tokens: longer prompts are shortened in the middle.
    :param precision: "bf16", "fp16" (the loss is scaled) or "fp32".
    :param micro_batch_size: examples that pass through the model at a time, in each process, or None for all of them.
    :param max_grad_norm: the norm at which training gradients are clipped, or None for none.
    :param schedule: of the learning rate over each task: "constant", "linear", "cosine" or another of Transformers.
    :param warmup: iterations of each task over which the learning rate rises.
    :param gradient_checkpointing: whether activations are computed anew in the backward pass instead of kept.
    :param device: where to train.
    :param strict: whether a trap in the data is an error.
    :param save_models: whether each run's trained model is kept too, in ``models/``.
    :param options: further arguments of strategies, by name.
    :raises ValueError: for a value out of range; the message says what was expected.
    """

    benchmark: str = "standard_cl"
    data: str | None = None
    orders: tuple[str, ...] = ()
    model: str = DEFAULT_MODEL
    strategies: tuple[str, ...] = ("naive", "replay", "aim")
    seeds: tuple[int, ...] = (0,)
    epochs: int = 1
    batch_size: int = 8
    learning_rate: float = Settings.learning_rate
    memory: float | int = Settings.memory
    train_per_task: int | None = None
    eval_per_task: int | None = None
    stream: str = "test"
    fwt: bool = False
    max_prompt_tokens: int = 512
    precision: str = "bf16"
    micro_batch_size: int | None = None
    max_grad_norm: float | None = None
    schedule: str = Settings.schedule
    warmup: int = 0
    gradient_checkpointing: bool = False
    device: str = "cuda" if torch.cuda.is_available() else "cpu"
    strict: bool = False
    save_models: bool = False
    options: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for names, kind in _TYPES.items():
            for name in names:
                value = getattr(self, name)
                if not isinstance(value, kind) and not (name == "data" and value is None):
                    raise ValueError(f"{name}: expected {_KINDS[kind]}, got {value!r:.200}")
        _check_choice("benchmark", self.benchmark, BENCHMARKS)
        if self.data is None:
            if self.benchmark != "standard_cl":
                hub = ', or "hub"' if self.benchmark != "superni" else ""
                raise ValueError(f"data: expected the folder of the files of {self.benchmark}{hub}; got none")
            object.__setattr__(self, "data", "sample")
        if not self.orders:
            object.__setattr__(self, "orders", (BENCHMARKS[self.benchmark][1],))
        for name, kind in (("orders", str), ("strategies", str), ("seeds", int)):
            values = getattr(self, name)
            if not values or not all(isinstance(v, kind) and not isinstance(v, bool) for v in values):
                raise ValueError(
                    f"{name}: expected at least one, each of type {kind.__name__}; got {list(values)!r:.200}"
                )
            object.__setattr__(self, name, tuple(dict.fromkeys(values)))
        _check_choice("precision", self.precision, PRECISIONS)
        _check_choice("stream", self.stream, ("test", "dev"))
        for name in (
            "epochs",
            "batch_size",
            "train_per_task",
            "eval_per_task",
            "max_prompt_tokens",
            "micro_batch_size",
        ):
            value, optional = getattr(self, name), name.endswith(("per_task", "micro_batch_size"))
            if not (optional and value is None) and (not _is_int(value) or not 1 <= value < 2**31):
                raise ValueError(f"{name}: expected an integer of 1 or more, got {value!r:.200}")
        rate = self.learning_rate
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate < math.inf:
            raise ValueError(f"learning_rate: expected a positive number, got {rate!r:.200}")
        if not isinstance(self.options, dict) or not all(isinstance(o, dict) for o in self.options.values()):
            raise ValueError(
                f"options: expected arguments by strategy ({{aim: {{preset: economical}}}}), got {self.options!r:.200}"
            )
        if not _is_plain(self.options):
            raise ValueError(f"options: expected texts, finite numbers, true, false, none, and lists and mappings of "
                             f"these by text, got {self.options!r:.200}")  # fmt: skip
        if not all(0 <= seed < 2**63 for seed in self.seeds):
            raise ValueError(f"seeds: expected 0 or more, and below 2^63; got {list(self.seeds)!r:.200}")
        RehearsalMemory(self.memory)
        check_strategies(self.strategies, self.options)
        self._check_training()

    def _check_training(self) -> None:
        """Refuse settings of the training loop that are out of range, or that a strategy can't be trained with."""
        norm = self.max_grad_norm
        if norm is not None and (
            isinstance(norm, bool) or not isinstance(norm, (int, float)) or not 0 < norm < math.inf
        ):
            raise ValueError(f"max_grad_norm: expected a positive number or none, got {norm!r:.200}")
        if not _is_int(self.warmup) or self.warmup >= 2**31:
            raise ValueError(f"warmup: expected a whole number of iterations, got {self.warmup!r:.200}")
        LearningRateSchedule(self.schedule, self.warmup)
        whole = [name for name in self.strategies if STRATEGIES[name].whole_batch]
        if self.micro_batch_size is not None and whole:
            raise ValueError(
                f"micro_batch_size: expected strategies that can be trained in micro-batches, got {', '.join(whole)}; "
                "leave it out, or them"
            )

    @classmethod
    def of(cls, values: Mapping[str, Any], source: str = "configuration") -> "Configuration":
        """Make a configuration from plain data.

        :param values: by field name; a single order, strategy or seed need not stand in a list.
        :param source: where they come from, for error messages.
        :raises ValueError: for an unknown name or a value out of range.
        """
        check_names(values, source)
        chosen = dict(values)
        for name in chosen.keys() & {"orders", "strategies", "seeds"}:
            several = chosen[name] if isinstance(chosen[name], (list, tuple)) else [chosen[name]]
            chosen[name] = tuple(str(o) if _is_int(o) else o for o in several) if name == "orders" else tuple(several)
        return cls(**chosen)

    def plain(self) -> dict[str, Any]:
        """Return the configuration as plain data."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def of_run(self, strategy: str) -> dict[str, Any]:
        """Return what one run is asked for, but its order and seed, as plain data.

        :param strategy: its strategy.
        """
        return {**self.shared(), "options": self.options.get(strategy, {})}

    def shared(self) -> dict[str, Any]:
        """Return what all runs kept in one folder are asked for, as plain data.

        Of the device only its kind: commands on several GPUs may share a folder.
        """
        shared = {name: value for name, value in self.plain().items() if name not in VARIED}
        return {**shared, "device": self.device.partition(":")[0]}

    def settings(self, seed: int) -> Settings:
        """Return the settings of the runs of one seed.

        :param seed: the seed.
        """
        return Settings(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            memory=self.memory,
            seed=seed,
            device=self.device,
            stream=self.stream,
            micro_batch_size=self.micro_batch_size,
            max_grad_norm=self.max_grad_norm,
            schedule=self.schedule,
            warmup=self.warmup,
        )

    def load_model(self, seed: int) -> LanguageModel:
        """Load the model that every run of one seed starts from.

        :param seed: of LoRA's weights.
        """
        # On a CPU torch's fused attention is the slower one: 6.0 s against 3.5 s a training step of 8 x 160 tokens
        # with SmolLM2-135M in bf16, one thread, torch 2.14. But plain attention keeps all its scores: 14 GB at 8 x 512.
        plain = self.device.startswith("cpu") and self.max_prompt_tokens <= 256
        attention: dict[str, Any] = {"attn_implementation": "eager"} if plain else {}
        return LanguageModel.from_pretrained(
            self.model,
            seed=seed,
            autocast=PRECISIONS[self.precision],
            gradient_checkpointing=self.gradient_checkpointing,
            **attention,
        )

    def make_benchmark(self, order: str, tokenizer: Any) -> CLScenario:
        """Build the stream of one order.

        :param order: one of ``orders``.
        :param tokenizer: the model's.
        :raises ValueError: for an unknown order, malformed data, or a stream that some task lacks.
        """
        benchmark = BENCHMARKS[self.benchmark][0](
            order=[name.strip() for name in order.split(",")] if "," in order else order,
            tokenizer=tokenizer,
            data=self.data,
            train_per_task=self.train_per_task,
            eval_per_task=self.eval_per_task,
            max_prompt_tokens=self.max_prompt_tokens,
            strict=self.strict,
        )
        if self.stream not in benchmark.streams:
            there = ", ".join(benchmark.streams)
            raise ValueError(f"stream: some task has no {self.stream} split; there are {there}")
        return benchmark


def check_names(names: Iterable[Any], source: str) -> None:
    """Refuse what is no field of :class:`Configuration`.

    :param names: names of settings.
    :param source: where they come from, for the error message.
    :raises ValueError: for an unknown one.
    """
    known = sorted(f.name for f in fields(Configuration))
    if unknown := sorted(str(name) for name in names if name not in known):
        raise ValueError(f"{source}: unknown {', '.join(unknown):.200}; expected some of {', '.join(known)}")


_TYPES: dict[tuple[str, ...], type] = {
    ("benchmark", "data", "model", "stream", "precision", "device"): str,
    ("fwt", "strict", "gradient_checkpointing", "save_models"): bool,
}
_KINDS = {str: "text", bool: "true or false"}


def _check_choice(name: str, value: Any, known: Iterable[str]) -> None:
    if value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(known)}, got {value!r:.200}")


def _is_plain(value: Any) -> bool:
    """Whether JSON holds a value as it is, so that a finished run can be kept, and found again by its settings."""
    if isinstance(value, dict):
        return all(isinstance(name, str) for name in value) and all(map(_is_plain, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value))


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
