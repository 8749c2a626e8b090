"""What a comparison is asked to do: every setting of it, declared once."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import torch

from ..rehearsal.memory import RehearsalMemory
from ..text import DEFAULT_MODEL
from ..text.data.settings import Columns, read_settings
from ..text.stream.benchmark import ORDERS, orders_asked
from ..training.learning_rate import LearningRateSchedule
from .benchmarks import BENCHMARKS
from .models import kind_of
from .optimizers import OPTIMIZERS
from .recipes import recipe
from .settings import Amount, Count, NotNegative, Positive, Range, Seed, Share, Whole, setting, settings_of
from .strategies import check_strategies, strategy
from .tuned import Tuned

Options = Annotated[
    dict[str, dict[str, Any]],
    Range(
        "arguments by strategy ({ewc: {ewc_lambda: 10}})",
        lambda options: all(isinstance(chosen, dict) for chosen in options.values()),
    ),
]

C = TypeVar("C", bound="Configuration")
TEXT = ("language", "features")
LANGUAGE = ("language",)
ALPHA = 32


@dataclass(frozen=True)
class Settings:
    """How each run of a comparison is trained and measured, whatever its strategy, order and seed."""

    epochs: Count = setting(1, "passes over each task's training data", metavar="N")
    batch_size: Count = setting(8, "training examples of an iteration, of all processes together", metavar="N")
    micro_batch_size: Count | None = setting(
        None, "examples that pass through the model at a time: the same batch in less memory", metavar="N"
    )
    eval_batch_size: Count = setting(16, "examples of an evaluation batch, in each process", metavar="N")
    optimizer: str = setting("adamw", f"{', '.join(OPTIMIZERS)}; its state starts anew in each task")
    learning_rate: Positive = setting(5e-4, "of the optimizer; the peak, where it follows a schedule", metavar="RATE")
    weight_decay: NotNegative = setting(0.0, "of the optimizer", metavar="DECAY")
    schedule: str = setting("constant", "of the learning rate over each task: linear, cosine, … (Transformers' names)")
    warmup: Whole = setting(0, "iterations of each task over which the learning rate rises", metavar="N")
    max_grad_norm: Positive | None = setting(
        None, "clip the training gradients at this norm; by default not at all", metavar="NORM"
    )
    memory: Amount = setting(0.02, "rehearsed of each past task: a fraction (0.02) or a count (8)", metavar="SIZE")
    memory_per_label: Whole | None = setting(
        None,
        "examples of each label of a past task that are rehearsed at least; by default 1 beside a fraction",
        metavar="N",
    )
    equal: Literal["steps", "passes"] | None = setting(
        None, "end each task at as many optimizer steps, or passes with gradient, as plain training has in it"
    )
    stream: Literal["test", "dev"] = setting("test", "what to evaluate on; choices must not look at test data")
    device: str = setting("cuda" if torch.cuda.is_available() else "cpu", "where to train")

    def __post_init__(self) -> None:
        for name, declared in settings_of(type(self)).items():
            object.__setattr__(self, name, declared.of(getattr(self, name)))
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer: expected one of {', '.join(OPTIMIZERS)}, got {self.optimizer!r:.200}")
        LearningRateSchedule(self.schedule, self.warmup)
        if self.equal is not None and self.schedule != "constant":
            raise ValueError(
                f"equal: expected the constant schedule, since a task that ends early breaks a decay off, got "
                f"{self.schedule}"
            )
        RehearsalMemory(self.memory)


@dataclass(frozen=True)
class Configuration(Settings):
    """One comparison: benchmark × strategies × orders × seeds, and all that they share.

    ``python -m avalanche_aim run --help`` lists the settings; a subclass may declare more of them with
    :func:`~avalanche_aim.experiments.settings.setting`.

    :raises ValueError: for a value out of range; the message says what was expected.
    """

    benchmark: str = setting("standard_cl", f"whose tasks and orders: {', '.join(BENCHMARKS)}")
    data: str | None = setting(
        None, 'a folder in any layout of docs/data.md, "hub", or "sample" (the default of standard_cl)', kinds=TEXT
    )
    orders: tuple[str, ...] = setting(
        (),
        "numbers (1 to 3 of standard_cl and digits, 4 to 6 of long_sequence, 1 and 2 of superni, 1 of trace and "
        "mmlu_pro), names, or tasks; by default the benchmark's first, or all tasks of a folder of your own",
        flags=["order"],
        metavar="ORDER",
        varies=True,
    )
    columns: dict[str, Any] = setting(
        {}, 'the fields of your records: {"prompt": "text", "answer": "label"}', metavar="JSON", kinds=TEXT
    )
    task_settings: dict[str, Any] | str = setting(
        {},
        'what is to hold of tasks in place of what would be found, {"mail": {"kind": "open"}}, or a YAML file of it',
        metavar="JSON",
        kinds=TEXT,
    )
    strategies: tuple[str, ...] = setting(("naive", "replay", "aim"), "what to compare", metavar="NAME", varies=True)
    tuned: str | None = setting(
        None, "a file that tune has made: each strategy at its own learning rate and setting", metavar="FILE"
    )
    seeds: tuple[Seed, ...] = setting(
        (0,), "of new weights, data order, dropout and the memory", flags=["seed"], metavar="N", varies=True
    )
    options: Options = setting(
        {}, 'further arguments of strategies: {"ewc": {"ewc_lambda": 10}}', metavar="JSON", varies=True
    )
    model: str = setting(
        DEFAULT_MODEL,
        'a Hugging Face id, a folder, "tiny" or "tiny-t5"; "features" for a small classifier on frozen sentence '
        'embeddings; "head", a small classifier, for digits',
    )
    encoder: str | None = setting(
        None, "of the sentence embeddings: a Hugging Face id or a folder; MiniLM by default", kinds=["features"]
    )
    encoder_tokens: Count = setting(64, "longer texts lose their end before they are embedded", kinds=["features"])
    lora: bool = setting(True, "train LoRA's weights; --no-lora trains all weights", kinds=LANGUAGE)
    lora_rank: Count = setting(8, "rank of LoRA's matrices", metavar="R", kinds=LANGUAGE)
    lora_alpha: Positive | None = setting(
        None, "LoRA's output counts ALPHA / R times (default: 32; tiny: 1280)", metavar="ALPHA", kinds=LANGUAGE
    )
    lora_dropout: Share = setting(0.05, "dropout of LoRA's input", metavar="SHARE", kinds=LANGUAGE)
    lora_targets: tuple[str, ...] = setting(
        (),
        "layers with LoRA, or all-linear; the query and value projections by default (tiny: all-linear)",
        metavar="LAYER",
        kinds=LANGUAGE,
    )
    precision: Literal["bf16", "fp16", "fp32"] = setting(
        "bf16", "of a language model's passes: bf16 and fp16 are autocast, weights stay fp32", kinds=LANGUAGE
    )
    gradient_checkpointing: bool = setting(
        False, "compute activations anew in the backward pass: less memory, more time", kinds=LANGUAGE
    )
    compile: bool = setting(
        False, "compile a language model's layers: on a GPU far less time of the processor", kinds=LANGUAGE
    )
    max_prompt_tokens: Count = setting(
        512, "longer prompts of a language model are shortened in the middle", metavar="N", kinds=LANGUAGE
    )
    train_per_task: Count | None = setting(None, "training examples of each task; all by default", metavar="N")
    eval_per_task: Count | None = setting(None, "evaluated examples of each task; all by default", metavar="N")
    strict: bool = setting(False, "a trap in the data is an error, not a warning", varies=True, kinds=TEXT)
    fwt: bool = setting(False, "report forward transfer too: each task is trained on alone, once", varies=True)
    log: tuple[Literal["tensorboard", "wandb"], ...] = setting(
        (), "log to tensorboard or wandb too, in OUT/logs", metavar="LOGGER", varies=True
    )
    general: tuple[str, ...] = setting(
        (),
        "measure general ability too, before the stream and after it: tasks of lm-evaluation-harness, facts (shipped), "
        "or folders of local ones (docs/general.md)",
        metavar="TASK",
        kinds=LANGUAGE,
    )
    general_every: Literal["task", "end"] = setting(
        "end", "measure general ability after each task too, or only at the end", kinds=LANGUAGE
    )
    general_limit: Count | None = setting(
        None, "questions of each general task that are asked; all by default", metavar="N", kinds=LANGUAGE
    )
    save_models: bool = setting(
        False, "keep each run's trained model too, in OUT/models, for peft and others", varies=True, kinds=LANGUAGE
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.benchmark not in BENCHMARKS:
            raise ValueError(f"benchmark: expected one of {', '.join(BENCHMARKS)}, got {self.benchmark!r:.200}")
        benchmark = BENCHMARKS[self.benchmark]
        fill: Callable[[str, Any], None] = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        if self.data is None:
            fill("data", benchmark.default_data(self.benchmark))
        if self.benchmark in ORDERS:
            fill("orders", orders_asked(self.benchmark, self.orders, self.data))
            if self.columns:
                fill("columns", Columns.of(self.columns).plain())
            fill("task_settings", {name: one.plain() for name, one in read_settings(self.task_settings).items()})
        elif not self.orders:
            fill("orders", (benchmark.first,))
        if self.model == DEFAULT_MODEL:
            fill("model", benchmark.model)
        self._check_kind()
        check_strategies(self.strategies, self.options)
        needing = [name for name in self.strategies if strategy(name).lora]
        if needing and not (self.lora and kind_of(self.model) == "language"):
            raise ValueError(
                f"strategies: {', '.join(needing)} need a language model with LoRA, got {self.model!r:.80}"
            )
        whole = [name for name in self.strategies if strategy(name).whole_batch]
        if self.micro_batch_size is not None and whole:
            raise ValueError(
                f"micro_batch_size: expected strategies that can be trained in micro-batches, got {', '.join(whole)}; "
                "leave it out, or them"
            )
        if self.lora and kind_of(self.model) == "language":
            tiny = self.model == "tiny"  # random weights, which learn nothing from a hundred texts at the usual scale
            fill("lora_alpha", self.lora_alpha or (1280 if tiny else ALPHA))
            fill("lora_targets", self.lora_targets or (("all-linear",) if tiny else ()))
        self._check_tuned()

    def _check_kind(self) -> None:
        """Refuse settings that would have no effect."""
        benchmark, kind = BENCHMARKS[self.benchmark], kind_of(self.model)
        if kind not in benchmark.kinds:
            there = "head" if "digits" in benchmark.kinds else 'a language model or "features"'
            raise ValueError(f"model: expected {there} for {self.benchmark}, got {self.model!r:.200}")
        idle = [
            name for name, one in settings_of(type(self)).items()
            if one.kinds and kind not in one.kinds and getattr(self, name) != one.default
        ]  # fmt: skip
        if idle:
            raise ValueError(
                f"{idle[0]}: expected none on model {self.model!r:.80}, where it has no effect; leave it out"
            )
        if not self.general and (self.general_every != "end" or self.general_limit is not None):
            name = "general_limit" if self.general_every == "end" else "general_every"
            raise ValueError(f"{name}: expected none without general tasks, where it has no effect; name some, or "
                             "leave it out")  # fmt: skip
        changed = self.lora_settings()
        if not self.lora and changed:
            raise ValueError(
                f"lora_{next(iter(changed))}: expected none without LoRA, where it has no effect; leave it "
                "out, or --no-lora"
            )

    def _check_tuned(self) -> None:
        """Read the choices, and refuse what can't be compared with them."""
        choices = None if self.tuned is None else Tuned.read(Path(self.tuned).expanduser())
        object.__setattr__(self, "_choices", choices)
        if choices is None:
            return
        if self.learning_rate != settings_of(type(self))["learning_rate"].default:
            raise ValueError("learning_rate: expected none beside tuned, which has one for each strategy; leave it out")
        if self.fwt:
            raise ValueError("fwt: expected one learning rate for all strategies, got tuned; leave one of them out")
        choices.check(self.shared(), self.strategies, {n: one.default for n, one in settings_of(type(self)).items()})

    def for_run(self: C, strategy: str) -> C:
        """Return the configuration of one strategy's runs, at the learning rate and setting that it was tuned to."""
        choices = self.choices
        if choices is None:
            return self
        chosen = choices.choices[strategy]
        options = {**chosen.options, **self.options.get(strategy, {})}
        given = {**self.options, **({strategy: options} if options else {})}
        return replace(self, learning_rate=chosen.learning_rate, options=given, tuned=None)

    @property
    def choices(self) -> Tuned | None:
        """What was tuned, if anything."""
        return self.__dict__["_choices"]

    def lora_settings(self) -> dict[str, Any]:
        """Return the settings of LoRA that are not at their defaults, by the second part of their names."""
        declared = settings_of(Configuration)
        usual = {n: declared[f"lora_{n}"].default or ALPHA for n in ("rank", "alpha", "dropout")} | {"targets": ()}
        return {n: value for n in usual if (value := getattr(self, f"lora_{n}")) not in (None, usual[n])}

    @classmethod
    def of(cls: type[C], values: Mapping[str, Any], source: str = "configuration") -> C:
        """Make a configuration from plain data.

        :param values: by name; ``recipe`` names one of :data:`~avalanche_aim.experiments.recipes.RECIPES`, over which
            the others win. A single order, strategy or seed need not stand in a list.
        :raises ValueError: for an unknown name or a value out of range.
        """
        cls.check_names(values, source)
        chosen = dict(values)
        given = dict(recipe(chosen.pop("recipe", None)))
        if chosen.get("tuned") is not None:  # has its own
            given.pop("learning_rate", None)
        return cls(**{**given, **chosen})

    @classmethod
    def check_names(cls, names: Mapping[Any, Any], source: str) -> None:
        """Refuse what is no setting.

        :raises ValueError: for an unknown one.
        """
        known = sorted((*settings_of(cls), "recipe"))
        if unknown := sorted(str(name) for name in names if name not in known):
            raise ValueError(f"{source}: unknown {', '.join(unknown):.200}; expected some of {', '.join(known)}")

    def plain(self) -> dict[str, Any]:
        """Return the configuration as plain data."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def of_run(self, strategy: str) -> dict[str, Any]:
        """Return what one run is asked for, but its order and seed, as plain data."""
        chosen = self.for_run(strategy)
        tuned = {} if self.choices is None else {"learning_rate": chosen.learning_rate}
        return {**self.shared(), **tuned, "options": chosen.options.get(strategy, {})}

    def shared(self) -> dict[str, Any]:
        """Return what all runs kept in one folder are asked for, as plain data.

        Of the device only its kind: commands on several GPUs may share a folder.
        """
        declared = settings_of(type(self))
        shared = {name: value for name, value in self.plain().items() if not declared[name].varies}
        if self.choices is not None:
            shared["tuned"] = self.choices.key
            del shared["learning_rate"]
        return {**shared, "device": self.device.partition(":")[0]}
