"""Runs of test_engines.py and test_data_parallel.py: the same in one process and in each of several."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from avalanche.benchmarks.scenarios.supervised import class_incremental_benchmark
from avalanche.benchmarks.utils import as_classification_dataset
from avalanche.evaluation.metrics import accuracy_metrics, loss_metrics
from avalanche.training import EWC, Naive
from avalanche.training.plugins import EvaluationPlugin, ReplayPlugin, SupervisedPlugin
from short_presets import SHORT
from torch import nn
from torch.utils.data import TensorDataset

from avalanche_aim import (
    AIMMergingPlugin,
    DataParallel,
    GradientStep,
    LanguageModel,
    LearningRateSchedule,
    RehearsalMemory,
    TextTask,
    text_benchmark,
)
from avalanche_aim.distributed import rank, world_size
from avalanche_aim.distributed.processes import broadcast_
from avalanche_aim.evaluation import ResultMatrix, text_metrics
from avalanche_aim.experiments import Budget
from avalanche_aim.experiments.rivals import named
from avalanche_aim.merging import PRESETS
from avalanche_aim.merging.task_vectors import whole
from avalanche_aim.text import LengthGrouping, TextExample
from avalanche_aim.text.self_written import SelfWrittenMemory, SelfWrittenRehearsal

BATCH = 12
"""Examples of an iteration, of all processes together: 2, 3 and 4 share them evenly."""
TRAIN, TEST = 13, 3
"""Examples of a task: the last batch has one, fewer than there are processes."""

MOODS = ("bad", "good", "very bad", "very good")
TOPICS = ("good", "music", "sport of kings")
NAMES = ("red", "green blue", "blue and warm")


def task(name: str, answers: tuple[str, ...], metric: str = "exact_match") -> TextTask:
    """Return a task; one by ROUGE-L has no labels, and its answers are generated."""
    rows = [
        (f"{name} of {'the ' * (i % 3)}{i % len(answers)}, {i}:", answers[i % len(answers)])
        for i in range(TRAIN + TEST)
    ]
    train, test = (
        tuple(TextExample(prompt, (answer,)) for prompt, answer in part) for part in (rows[:TRAIN], rows[TRAIN:])
    )
    return TextTask(name, train, (), test, None if metric == "rouge_l" else answers, metric)


class Watch(SupervisedPlugin, supports_distributed=True):
    """Keeps the losses that plugins see, and raises after some iterations where it is told to."""

    def __init__(self, fail_after: float = float("inf")) -> None:
        super().__init__()
        self.losses: list[float] = []
        self.fail_after = fail_after

    def after_update(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.losses.append(float(strategy.loss))
        if len(self.losses) > self.fail_after:
            raise RuntimeError("this process was told to fail")

    def state_dict(self) -> dict[str, Any]:
        return {"losses": self.losses}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.losses = state["losses"]


class Silent:
    """A logger that logs nothing."""

    def log_metrics(self, values: Any) -> None:
        pass


def language_model(name: str, lora: bool, dropout: float = 0.0) -> LanguageModel:
    """Make a tiny model; its dropout is another than its configuration says."""
    model = LanguageModel.from_pretrained(name, {"lora_dropout": dropout} if lora else False)
    for module in model.backbone.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = dropout
    return model


def language_strategy(
    model: LanguageModel, *plugins: Any, learning_rate: float = 1e-2, epochs: int = 1, reduced: bool = True
) -> Any:
    """Make a strategy and its metrics; not ``reduced``, each process trains for itself."""
    return Naive(
        model=model,
        # A large eps: Adam divides by tiny gradients, whose rounding would grow over the iterations.
        optimizer=torch.optim.AdamW(model.parameters(), lr=learning_rate, eps=1e-3, weight_decay=0.0),
        criterion=model.criterion,
        train_mb_size=BATCH // world_size(),
        train_epochs=epochs,
        eval_mb_size=4,
        plugins=[DataParallel() if reduced else Unreduced(), *plugins],
        evaluator=EvaluationPlugin(*text_metrics(max_new_tokens=4), loggers=[Silent()]),
    )


class Unreduced(DataParallel, supports_distributed=True):
    """The control: what :class:`DataParallel` does, but the reduction of the gradients."""

    def _prepare(self, strategy: Any) -> None:
        self._engine = self._model = strategy.model
        broadcast_(strategy.model.parameters())

    def after_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.rows = None


def tasks() -> list[TextTask]:
    return [task("moods", MOODS), task("names", NAMES, "rouge_l"), task("topics", TOPICS)]


def language_run(
    name: str = "tiny",
    make: Callable[[], tuple[Any, ...]] = tuple,
    *,
    lora: bool = True,
    dropout: float = 0.0,
    shard: Callable[[LanguageModel], None] | None = None,
    fail_after: float = float("inf"),
    closed: bool = False,
    **settings: Any,
) -> dict[str, Any]:
    """Train a tiny language model on three tasks, or on the two with labels."""
    torch.manual_seed(7 if shard else 7 + rank())  # the processes have to make their streams the same
    model, plugins = language_model(name, lora, dropout), make()
    if shard is None:
        with torch.no_grad():
            for weight in model.parameters():
                weight += rank()  # … and their weights
    else:
        shard(model)
    benchmark = text_benchmark(tasks()[:: 1 + closed], model.tokenizer, cache=False)
    watch = Watch(fail_after)
    strategy = language_strategy(model, *plugins, watch, **settings)
    for number, experience in enumerate(benchmark.train_stream):
        strategy.train(experience)
        strategy.eval(benchmark.test_stream[: number + 1])
    return outcome(strategy, watch)


def outcome(strategy: Any, watch: Watch) -> dict[str, Any]:
    """What is compared of a run."""
    merging = next((p for p in strategy.plugins if isinstance(p, AIMMergingPlugin)), None)
    matrix = next(m for m in strategy.evaluator.metrics if isinstance(m, ResultMatrix))
    return {
        "weights": [whole(p.detach()).clone() for p in strategy.model.parameters()],
        "losses": watch.losses,
        "r": matrix.rows,
        "metrics": strategy.evaluator.get_last_metrics(),
        "history": merging.history.to_dict() if merging else {},
        "memory": merging.memory.selected if merging and merging.memory else [],
        "random": torch.rand(3).tolist(),
    }


def aim(preset: str = "paper", **settings: Any) -> AIMMergingPlugin:
    """Make a plugin that merges every few iterations."""
    schedule = SHORT.get(preset, {}).get("schedule", {})
    if "initial" in schedule:
        schedule = {"initial": 2} if preset == "reference" else {"initial": 2, "cold_start": 2}
    settings = {"schedule": schedule, **settings}
    return AIMMergingPlugin(preset, memory=4 if preset == "held-out" else 3, **settings)


def replay() -> tuple[Any, ...]:
    memory = RehearsalMemory(3)
    return ReplayPlugin(mem_size=memory.max_size, storage_policy=memory), LearningRateSchedule("linear")


def self_written() -> tuple[Any, ...]:
    memory = SelfWrittenMemory(4, attempts=2, confidence=0.0, distinct=0.0)
    schedule = SHORT["settled"]["schedule"]
    return (AIMMergingPlugin("settled", rehearsal=SelfWrittenRehearsal(memory), schedule=schedule),)


def rival(make: Callable[..., dict[str, Any]], **options: Any) -> tuple[Any, ...]:
    """Return the plugins of a named strategy."""
    return tuple(make(Budget(4, 0, BATCH, (TRAIN,) * 3), **options)["plugins"])


def clipped() -> GradientStep:
    return GradientStep(micro_batch_size=2, max_grad_norm=0.5)


OTHER_PRESETS = tuple(sorted(PRESETS.keys() - {"paper", "reference", "economical"}))
"""Those that no other run has."""

LANGUAGE: dict[str, Callable[..., dict[str, Any]]] = {
    "naive": partial(language_run, make=lambda: (clipped(),)),
    "replay": partial(language_run, "tiny-t5", replay),
    "paper": partial(language_run, make=lambda: (clipped(), aim(rehearsal={"max_grad_norm": 0.5})), epochs=2),
    "reference": partial(language_run, "tiny-t5", lambda: (aim("reference"),), learning_rate=3e-3, epochs=2),
    "economical": partial(language_run, make=lambda: (aim("economical"),), learning_rate=3e-3, epochs=2),
    "full": partial(language_run, make=lambda: (LengthGrouping(), aim()), lora=False, learning_rate=3e-3, epochs=2),
    "full-t5": partial(language_run, "tiny-t5", lambda: (aim(rule="ties", slow="exponential"),), lora=False,
                       learning_rate=3e-3),
    "self-written": partial(language_run, make=self_written, learning_rate=3e-3, epochs=2, closed=True),
    "dare": partial(language_run, make=lambda: (aim(rule="dare"),), learning_rate=3e-3),
    **{preset: partial(language_run, make=lambda preset=preset: (aim(preset),), learning_rate=3e-3, epochs=2)
       for preset in OTHER_PRESETS},
    "sure": partial(language_run, make=lambda: rival(named.sure), epochs=2),
    "forever": partial(language_run, make=lambda: rival(named.forever, calibration=2), learning_rate=3e-3,
                       epochs=2),
}  # fmt: skip
"""Runs without noise, which has to differ from process to process."""


def classes(examples: int = 66) -> Any:
    """Six classes in three experiences, of 22 examples each by default."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(66) % 6
    data = TensorDataset(torch.randn(66, 8, generator=generator) + 3 * nn.functional.one_hot(y, 8), y)
    data.targets = y.tolist()
    test = as_classification_dataset(data)
    streams = {"train": test.subset(range(examples)), "test": test}
    return class_incremental_benchmark(streams, num_experiences=3, class_order=list(range(6)))


class Double(nn.Module):
    """Computes in double precision."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x.double())


def class_strategy(model: nn.Module, *plugins: Any, template: type = Naive, **arguments: Any) -> Any:
    """Make a strategy that classifies."""
    settings = {
        "train_mb_size": BATCH // world_size(),
        "eval_mb_size": 12 // world_size(),
        "criterion": nn.CrossEntropyLoss(),
        "evaluator": EvaluationPlugin(loggers=[Silent()]),
        **arguments,
    }
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return template(model=model, optimizer=optimizer, plugins=list(plugins), **settings)


def classifier() -> dict[str, Any]:
    """Penalties on the weights, a buffer that draws from the global streams, and Avalanche's own metrics."""
    benchmark = classes()
    torch.manual_seed(3 + rank())
    model = Double(nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 6)).double())
    metrics = [accuracy_metrics(experience=True), loss_metrics(epoch=True, experience=True)]
    evaluator = EvaluationPlugin(*metrics, loggers=[Silent()])
    plugins = DataParallel(), ReplayPlugin(mem_size=7)
    strategy = class_strategy(model, *plugins, template=EWC, ewc_lambda=1.0, train_epochs=2, evaluator=evaluator)
    found = []
    for experience in benchmark.train_stream:
        strategy.train(experience)
        found.append(strategy.eval(benchmark.test_stream))
    return {"weights": [p.detach() for p in model.parameters()], "metrics": found}
