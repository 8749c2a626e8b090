"""Runs of test_data_parallel.py: the same in one process and in each of several."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from avalanche.benchmarks.scenarios.supervised import class_incremental_benchmark
from avalanche.benchmarks.utils import as_classification_dataset
from avalanche.evaluation.metrics import accuracy_metrics, loss_metrics
from avalanche.training import AGEM, EWC, Naive
from avalanche.training.plugins import EvaluationPlugin, ReplayPlugin, SupervisedPlugin
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
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
from avalanche_aim.distributed import destroy_process_group, init_process_group, world_size
from avalanche_aim.distributed.processes import rank
from avalanche_aim.evaluation import ResultMatrix, text_metrics
from avalanche_aim.experiments import Comparison, Configuration
from avalanche_aim.merging import AdaptiveInterval, FixedInterval
from avalanche_aim.text import LengthGrouping, TextExample

PROCESSES = 2
BATCH = 4
"""Examples of an iteration, of all processes together."""


MOODS = ("bad", "good", "very bad", "very good")
TOPICS = ("good", "music", "sport of kings")
NAMES = ("red", "green blue", "blue and warm")


def task(name: str, answers: tuple[str, ...], metric: str = "exact_match") -> TextTask:
    """Return a task of 9 training and 5 test examples; one by ROUGE-L has no labels, and its answers are generated."""
    rows = [(f"{name} of {'the ' * (i % 3)}{i % len(answers)}, {i}:", answers[i % len(answers)]) for i in range(14)]
    train, test = (tuple(TextExample(prompt, (answer,)) for prompt, answer in part) for part in (rows[:9], rows[9:]))
    return TextTask(name, train, (), test, None if metric == "rouge_l" else answers, metric)


class Passes(SupervisedPlugin, supports_distributed=True):
    """Keeps the loss and the sizes that plugins see, and raises after some iterations where it is told to."""

    def __init__(self, fail_after: float = float("inf")) -> None:
        super().__init__()
        self.losses: list[float] = []
        self.sizes: list[tuple[int, int]] = []
        self.fail_after = fail_after

    def before_backward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.sizes.append((len(strategy.mb_y), len(strategy.mb_output)))

    def after_update(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.losses.append(float(strategy.loss))
        if len(self.losses) > self.fail_after:
            raise RuntimeError("this process was told to fail")


def language_run(
    name: str,
    *plugins: Any,
    dropout: float = 0.0,
    all_weights: bool = False,
    epochs: int = 1,
    sharded: bool = False,
    failing: bool = False,
) -> dict[str, Any]:
    """Train a tiny language model on three tasks, whose last batch is smaller than the processes are many."""
    torch.manual_seed(7 + rank())  # the processes have to make their streams the same
    model = LanguageModel.from_pretrained(name, False if all_weights else {"lora_dropout": dropout})
    for module in model.backbone.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = dropout
    with torch.no_grad():
        for weight in model.parameters():
            weight += rank()  # … and their weights
    if sharded and world_size() > 1:
        shard(model)
    tasks = [task("moods", MOODS), task("names", NAMES, "rouge_l"), task("topics", TOPICS)]
    benchmark = text_benchmark(tasks, model.tokenizer, cache=False)
    aim = next((p for p in plugins if isinstance(p, AIMMergingPlugin)), None)
    watch = Passes(fail_after=3 if failing and rank() == 1 else float("inf"))
    metrics = text_metrics(max_new_tokens=4)
    strategy = Naive(
        model=model,
        # A large eps: Adam divides by tiny gradients, whose rounding would grow over the iterations.
        optimizer=torch.optim.AdamW(model.parameters(), lr=3e-3 if all_weights else 1e-2, eps=1e-3, weight_decay=0.0),
        criterion=model.criterion,
        train_mb_size=BATCH // world_size(),
        train_epochs=epochs,
        eval_mb_size=4 // world_size(),
        plugins=[DataParallel(), *plugins, watch],
        evaluator=EvaluationPlugin(*metrics, loggers=[_Silent()]),
    )
    for number, experience in enumerate(benchmark.train_stream):
        strategy.train(experience)
        strategy.eval(benchmark.test_stream[: number + 1])
    matrix = next(m for m in metrics if isinstance(m, ResultMatrix))
    return {
        "weights": [p.detach() for p in model.parameters()],
        "losses": watch.losses,
        "sizes": watch.sizes,
        "r": matrix.rows,
        "metrics": strategy.evaluator.get_last_metrics(),
        "history": aim.history.to_dict() if aim else {},
        "memory": aim.memory.selected if aim else [],
        "random": torch.rand(3).tolist(),
    }


def shard(model: LanguageModel) -> None:
    """Spread the frozen weights over the processes, as docs/distributed.md does."""
    trainable, inner = set(model.parameters()), model.language_model
    mesh = init_device_mesh("cpu", (world_size(),))
    for layer in (*inner.model.layers, inner):
        fully_shard(layer, mesh=mesh, ignored_params=trainable)


class _Silent:
    def log_metrics(self, values: Any) -> None:
        pass


def aim(**settings: Any) -> AIMMergingPlugin:
    return AIMMergingPlugin(
        memory=3, schedule=AdaptiveInterval(initial=2, cold_start=2), **{"preset": "paper", **settings}
    )


def adaptive() -> dict[str, Any]:
    return language_run(
        "tiny", GradientStep(micro_batch_size=1, max_grad_norm=0.5), aim(rehearsal={"max_grad_norm": 0.5}), epochs=2
    )


def with_replay() -> dict[str, Any]:
    memory = RehearsalMemory(3)
    replay = ReplayPlugin(mem_size=memory.max_size, storage_policy=memory)
    return language_run("tiny-t5", replay, LearningRateSchedule("linear"), aim(preset="reference"))


def length_grouped() -> dict[str, Any]:
    aim = AIMMergingPlugin("paper", memory=3, schedule=FixedInterval(6))
    return language_run("tiny", LengthGrouping(), aim, all_weights=True, epochs=4)


def fsdp() -> dict[str, Any]:
    return language_run("tiny", aim(), sharded=True)


def with_dropout() -> dict[str, Any]:
    return language_run("tiny", aim(rehearsal={"monitor": "train"}), dropout=0.3)


def classifier() -> dict[str, Any]:
    """Penalties on the weights, a buffer that draws from the global streams, and Avalanche's own metrics."""
    benchmark = classes()
    torch.manual_seed(3 + rank())
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 6)).double()
    metrics = [accuracy_metrics(epoch=True, experience=True), loss_metrics(epoch=True, experience=True)]
    strategy = EWC(
        model=_Double(model),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        criterion=nn.CrossEntropyLoss(reduction="sum"),
        ewc_lambda=1.0,
        train_mb_size=BATCH // world_size(),
        train_epochs=2,
        eval_mb_size=8 // world_size(),
        plugins=[DataParallel(), ReplayPlugin(mem_size=7)],
        evaluator=EvaluationPlugin(*metrics, loggers=[_Silent()]),
    )
    found = []
    for experience in benchmark.train_stream:
        strategy.train(experience)
        found.append(strategy.eval(benchmark.test_stream))
    return {"weights": [p.detach() for p in model.parameters()], "metrics": found}


def classes() -> Any:
    """Six classes in three experiences of 22 examples each."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(66) % 6
    data = TensorDataset(torch.randn(66, 8, generator=generator) + 3 * nn.functional.one_hot(y, 8), y)
    data.targets = y.tolist()
    streams = {name: as_classification_dataset(data) for name in ("train", "test")}
    return class_incremental_benchmark(streams, num_experiences=3, class_order=list(range(6)))


class _Double(nn.Module):
    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x.double())


class Overflow(SupervisedPlugin, supports_distributed=True):
    """Makes the gradient of the second iteration infinite, in the last process alone."""

    def __init__(self) -> None:
        super().__init__()
        self.iterations = 0

    def after_forward(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.iterations += 1
        if self.iterations == 2 and rank() == world_size() - 1:
            strategy.model.layers[0].weight.register_hook(lambda gradient: gradient * float("inf"))


def overflow() -> dict[str, Any]:
    """A loss scale with which one process overflows, in one iteration."""
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    benchmark = classes()
    torch.manual_seed(3)
    model = _Double(nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 6)).double())
    strategy = Naive(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        criterion=nn.CrossEntropyLoss(),
        train_mb_size=12 // world_size(),
        plugins=[DataParallel(), GradientStep(scaler=scaler), Overflow()],
        evaluator=EvaluationPlugin(loggers=[_Silent()]),
    )
    strategy.train(benchmark.train_stream[0])
    return {"weights": [p.detach() for p in model.parameters()], "scale": scaler.get_scale()}


class Noisy(nn.Module):
    """Keeps the noise that it drew."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 6)
        self.noise: list[list[float]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.noise.append(torch.rand(2).tolist())
        return self.layer(x)


def noise() -> dict[str, Any]:
    """Random numbers inside a model, and after it."""
    model = Noisy()
    strategy = Naive(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        criterion=nn.CrossEntropyLoss(),
        train_mb_size=8,
        plugins=[DataParallel()],
        evaluator=EvaluationPlugin(loggers=[_Silent()]),
    )
    strategy.train(classes().train_stream[0])
    return {"noise": model.noise, "later": torch.rand(2).tolist()}


def refusals() -> dict[str, str]:
    """What several processes cannot do."""
    second = [LearningRateSchedule(), DataParallel()]
    return {"unshared": _refused([aim()]), "second": _refused(second), "sharding": _refused([DataParallel()], AGEM)}


def _refused(plugins: list[Any], template: type = Naive) -> str:
    torch.manual_seed(3)
    model = nn.Linear(8, 6)
    arguments = {"patterns_per_exp": 12, "sample_size": 4} if template is AGEM else {}
    strategy = template(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        criterion=nn.CrossEntropyLoss(),
        train_mb_size=2,
        plugins=plugins,
        evaluator=EvaluationPlugin(loggers=[_Silent()]),
        **arguments,
    )
    try:
        for experience in classes().train_stream:
            strategy.train(experience)
    except ValueError as error:
        return str(error)
    return "nothing was refused"


def comparison(folder: Path) -> dict[str, Any]:
    """A comparison, which one process writes."""
    configuration = Configuration(
        model="tiny", strategies=("aim",), train_per_task=4, eval_per_task=1, batch_size=2, memory=2, fwt=True,
        precision="fp32", device="cpu", options={"aim": {"rehearsal": {"batch_size": 3}}},
    )  # fmt: skip
    done = Comparison(configuration, folder)
    done.run()
    again = Comparison(configuration, folder)
    (result,) = done.results
    return {"r": result.r, "single": result.single, "iterations": result.cost.iterations,
            "passes": result.cost.gradient_passes, "finished": len(again.results)}  # fmt: skip


RUNS: dict[str, Callable[[], dict[str, Any]]] = {
    run.__name__: run
    for run in (adaptive, with_replay, length_grouped, fsdp, with_dropout, classifier, overflow, noise)
}
"""Those of several processes and of one."""


def all_runs(folder: Path) -> None:
    """Be one of the processes: run everything, keep what there is to compare, and fail at the end in the second."""
    torch.set_num_threads(1)
    init_process_group()
    for name, run in RUNS.items():
        torch.save(run(), folder / f"{name}-{rank()}.pt")
    torch.save(comparison(folder / "comparison"), folder / f"comparison-{rank()}.pt")
    torch.save(refusals(), folder / f"refusals-{rank()}.pt")
    language_run("tiny", aim(), failing=True)
    destroy_process_group()
