"""Every strategy and plugin of Avalanche, alone and beside AIM: which run, and what is said where they cannot.

python -m benchmarks.strategies                            # prints the table
python -m benchmarks.strategies --write docs/measured/strategies.md # puts it into the page
python -m benchmarks.strategies --only SCR EWCPlugin

A network of one hidden layer learns three experiences of two classes in each case.
"""

import argparse
import contextlib
import io
import signal
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from avalanche.benchmarks import nc_benchmark
from avalanche.benchmarks.scenarios import benchmark_from_datasets, with_classes_timeline
from avalanche.benchmarks.scenarios.task_aware import with_task_labels
from avalanche.benchmarks.utils import DataAttribute, TaskAwareSupervisedClassificationDataset
from avalanche.models import (
    FeatureExtractorBackbone,
    FeCAMClassifier,
    NCMClassifier,
    SCRModel,
    SimpleMLP,
    TrainEvalModel,
)
from avalanche.models.packnet import PackNetPlugin, packnet_simple_mlp
from avalanche.models.pnn import PNN
from avalanche.training import plugins as avalanche_plugins
from avalanche.training import supervised
from avalanche.training.plugins import EvaluationPlugin
from torch import nn
from torch.utils.data import TensorDataset

from avalanche_aim import AIMMergingPlugin
from avalanche_aim.merging import FixedInterval

MARKS = ("<!-- table: begin -->", "<!-- table: end -->")
CLASSES, FEATURES = 6, 16
LONGEST = 10
"""Seconds that a case may take."""


class Network(nn.Module):
    """A hidden layer and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Flatten(), nn.Linear(64, FEATURES), nn.ReLU())
        self.classifier = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify.

        :param x: images, (B, 1, 8, 8).
        """
        return self.classifier(self.features(x))

    def get_features(self, x: torch.Tensor) -> torch.Tensor:
        """Return the hidden layer, which LFL asks for.

        :param x: images.
        """
        return self.features(x)


@dataclass(frozen=True)
class Case:
    """A strategy or plugin, with the least that it needs.

    :param kind: its class.
    :param arguments: its further arguments, made from the model.
    :param model: makes the model.
    :param model_name: the argument that takes it.
    :param criterion: whether it takes one.
    :param classic: whether it needs an ``nc_benchmark``, whose experiences know their benchmark, with task labels.
    :param epochs: of training.
    :param skipped: why it is not run.
    """

    kind: type
    arguments: Callable[[Any], dict[str, Any]] = field(default=lambda model: {})
    model: Callable[[], nn.Module] = Network
    model_name: str = "model"
    criterion: bool = True
    classic: bool = False
    epochs: int = 1
    skipped: str = ""


def _of(kind: type, **arguments: Any) -> Case:
    return Case(kind, lambda model: arguments)


def _mlp() -> nn.Module:
    return SimpleMLP(num_classes=CLASSES, input_size=64, hidden_size=FEATURES)


def _prototypes(classifier: Callable[[], nn.Module]) -> nn.Module:
    return TrainEvalModel(Network().features, nn.Linear(FEATURES, CLASSES), classifier())


STRATEGIES = (
    *(_of(kind) for kind in (supervised.Naive, supervised.Cumulative, supervised.JointTraining)),
    *(_of(kind) for kind in (supervised.FromScratchTraining, supervised.MER)),
    *(_of(kind, mem_size=12) for kind in (supervised.Replay, supervised.GDumb, supervised.DER, supervised.ER_ACE)),
    Case(supervised.BiC, lambda model: {"mem_size": 12}, classic=True),
    _of(supervised.MIR, mem_size=12, subsample=8),
    _of(supervised.GSS_greedy, mem_size=12, input_size=[1, 8, 8]),
    _of(supervised.EWC, ewc_lambda=1.0),
    _of(supervised.LwF, alpha=1.0, temperature=2.0),
    _of(supervised.SynapticIntelligence, si_lambda=1.0),
    _of(supervised.MAS),
    Case(supervised.LFL, lambda model: {"lambda_e": 0.1}, _mlp),
    _of(supervised.AGEM, patterns_per_exp=6, sample_size=6),
    _of(supervised.GEM, patterns_per_exp=6),
    _of(supervised.CWRStar, cwr_layer_name="classifier"),
    _of(supervised.FeatureReplay, mem_size=12),
    Case(supervised.ER_AML, lambda model: {"feature_extractor": model.features, "mem_size": 12}),
    Case(supervised.CoPE, lambda model: {"mem_size": 12, "p_size": FEATURES}, lambda: Network().features),
    Case(
        supervised.ICaRL,
        lambda model: {
            "feature_extractor": model.features,
            "classifier": model.classifier,
            "memory_size": 12,
            "buffer_transform": None,
            "fixed_memory": True,
        },
        model_name="",
        criterion=False,
        classic=True,
    ),
    Case(
        supervised.SCR,
        lambda model: {"mem_size": 12, "batch_size_mem": 4},
        lambda: SCRModel(Network().features, nn.Linear(FEATURES, 8)),
        criterion=False,
    ),
    Case(
        supervised.StreamingLDA,
        lambda model: {"input_size": FEATURES, "num_classes": CLASSES},
        lambda: FeatureExtractorBackbone(Network(), "features"),
        "slda_model",
    ),
    Case(supervised.PNNStrategy, model=lambda: PNN(in_features=64, hidden_features_per_column=8), classic=True),
    Case(supervised.PackNet, skipped="calls no plugin given to it, as Avalanche wraps them in a list; see its plugin"),
    Case(supervised.GenerativeReplay, skipped="trains a generator by a strategy of its own beside the classifier"),
    Case(supervised.VAETraining, skipped="trains a generator, no classifier"),
    Case(supervised.AETraining, skipped="trains an autoencoder, no classifier"),
    Case(supervised.ExpertGateStrategy, skipped="needs a pretrained AlexNet"),
    Case(supervised.AR1, skipped="needs a pretrained MobileNet"),
    Case(supervised.LearningToPrompt, skipped="needs a pretrained vision transformer"),
)

P = avalanche_plugins
PLUGINS = (
    *(_of(kind) for kind in (P.LwFPlugin, P.MASPlugin, P.RWalkPlugin, P.FeatureDistillationPlugin)),
    Case(P.BiCPlugin, lambda model: {"mem_size": 12}, classic=True),
    _of(P.FromScratchTrainingPlugin),
    _of(P.EWCPlugin, ewc_lambda=1.0),
    _of(P.SynapticIntelligencePlugin, si_lambda=1.0),
    Case(P.LFLPlugin, lambda model: {"lambda_e": 0.1}, _mlp),
    *(_of(kind, mem_size=12) for kind in (P.ReplayPlugin, P.GDumbPlugin)),
    _of(P.GSS_greedyPlugin, mem_size=12, input_size=[1, 8, 8]),
    *(_of(kind, mem_size=12, batch_size_mem=4) for kind in (P.MIRPlugin, P.RARPlugin)),
    _of(P.AGEMPlugin, patterns_per_experience=6, sample_size=6),
    _of(P.GEMPlugin, patterns_per_experience=6, memory_strength=0.5),
    Case(P.CWRStarPlugin, lambda model: {"model": model, "cwr_layer_name": "classifier"}),
    Case(P.CoPEPlugin, lambda model: {"mem_size": 12, "p_size": FEATURES}, lambda: Network().features),
    Case(
        PackNetPlugin,
        lambda model: {"post_prune_epochs": 1, "prune_proportion": 0.5},
        lambda: packnet_simple_mlp(num_classes=CLASSES, input_size=64, hidden_size=8),
        classic=True,
        epochs=3,
    ),
    Case(P.EarlyStoppingPlugin, skipped="stops an experience; nothing else of it touches training"),
    Case(P.LRSchedulerPlugin, skipped="tested in tests/training"),
    *(Case(kind, model=lambda: _prototypes(NCMClassifier)) for kind in (P.CurrentDataNCMUpdate, P.NCMOracle)),
    Case(P.MemoryNCMUpdate, lambda model: {"mem_size": 12}, lambda: _prototypes(NCMClassifier)),
    *(Case(kind, model=lambda: _prototypes(FeCAMClassifier)) for kind in (P.CurrentDataFeCAMUpdate, P.FeCAMOracle)),
    Case(P.MemoryFeCAMUpdate, lambda model: {"mem_size": 12}, lambda: _prototypes(FeCAMClassifier)),
    Case(P.GenerativeReplayPlugin, skipped="needs a generator"),
    Case(P.TrainGeneratorAfterExpPlugin, skipped="needs a generator"),
)


def data() -> tuple[torch.Tensor, torch.Tensor]:
    """Return images of six classes, 24 of each two."""
    y = torch.arange(72) % CLASSES
    return torch.randn(72, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + y.view(-1, 1, 1, 1), y


def stream(classic: bool) -> Any:
    """Return three experiences of two classes.

    :param classic: of ``nc_benchmark``, with a task label each.
    """
    x, y = data()
    if classic:
        whole = TensorDataset(x, y)
        whole.targets = y.tolist()
        return nc_benchmark(whole, whole, n_experiences=3, task_labels=True, seed=0)
    parts = []
    for number in range(3):
        rows = (y // 2 == number).nonzero()[:, 0]
        attributes = [
            DataAttribute(y[rows].tolist(), "targets"),
            DataAttribute([0] * len(rows), "targets_task_labels", use_in_getitem=True),
        ]
        inner = TensorDataset(x[rows], y[rows])
        parts.append(TaskAwareSupervisedClassificationDataset([inner], data_attributes=attributes))
    return with_task_labels(with_classes_timeline(benchmark_from_datasets(train=parts, test=parts)))


def outcome(case: Case, beside_aim: bool) -> str:
    """Train a case, and say how it ended.

    :param case: the case.
    :param beside_aim: whether with AIM.
    """
    torch.manual_seed(0)
    before = signal.signal(signal.SIGALRM, _alarm)
    signal.alarm(LONGEST)
    model = case.model()
    aim = AIMMergingPlugin("paper", memory=4, schedule=FixedInterval(3))
    is_plugin = case in PLUGINS
    try:
        arguments = case.arguments(model)
        more = [case.kind(**arguments)] if is_plugin else []
        settings: dict[str, Any] = {} if is_plugin else dict(arguments)
        if case.model_name:
            settings[case.model_name] = model
        if case.criterion:
            settings["criterion"] = nn.CrossEntropyLoss()
        if case.model_name != "slda_model":
            settings["optimizer"] = torch.optim.SGD(model.parameters(), lr=0.01)
        template: Any = supervised.Naive if is_plugin else case.kind
        strategy = template(
            train_mb_size=4,
            train_epochs=case.epochs,
            eval_mb_size=8,
            plugins=[*more, *([aim] if beside_aim else [])],
            evaluator=EvaluationPlugin(loggers=[_Silent()]),
            **settings,
        )
        benchmark = stream(case.classic)
        for experience in [benchmark.train_stream] if case.kind is supervised.JointTraining else benchmark.train_stream:
            strategy.train(experience)
            strategy.eval(benchmark.test_stream)
    except TimeoutError:
        return f"does not end in {LONGEST} s"
    except Exception as error:
        reason = " ".join(str(error).split())
        return f"{type(error).__name__}: {reason[:150]}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    if not all(weight.isfinite().all() for weight in strategy.model.parameters()):
        return "weights are not finite"
    if not beside_aim:
        return "runs"
    merges = len(aim.history.merges)
    return "; ".join([f"{merges} merges", *("says: " + note.partition(";")[0] for note in aim.history.notes)])


def _alarm(number: int, frame: Any) -> None:
    raise TimeoutError


class _Silent:
    def log_metrics(self, values: Any) -> None:
        pass


def cells(case: Case) -> tuple[str, str]:
    """Run a case alone and beside AIM, and say how each ended.

    :param case: the case.
    """
    if case.skipped:
        return f"not run: {case.skipped}", "–"
    with contextlib.redirect_stdout(io.StringIO()):
        alone, beside = (outcome(case, beside_aim).replace("|", "\\|") for beside_aim in (False, True))
    return alone, "the same" if beside == alone else beside


def table(only: list[str]) -> str:
    """Run all cases, and lay them out as a Markdown table.

    :param only: the names of those to run; all if there are none.
    """
    lines = ["| strategy or plugin | alone | beside AIM |", "|---|---|---|"]
    for case in (*STRATEGIES, *PLUGINS):
        if only and case.kind.__name__ not in only:
            continue
        print(case.kind.__name__, file=sys.stderr, flush=True)
        lines.append(f"| `{case.kind.__name__}` | " + " | ".join(cells(case)) + " |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Run, and print or write the table."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--only", nargs="+", default=[], metavar="NAME", help="strategies and plugins to run")
    p.add_argument("--write", type=Path, metavar="FILE", help="put the table between the marks of this page")
    arguments = p.parse_args(argv)
    warnings.simplefilter("ignore")
    text = table(arguments.only)
    if arguments.write is None:
        print(text)
        return 0
    page = arguments.write.read_text(encoding="utf-8")
    before, rest = page.split(MARKS[0])
    _, after = rest.split(MARKS[1])
    arguments.write.write_text(f"{before}{MARKS[0]}\n\n{text}\n\n{MARKS[1]}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
