"""TensorBoard and Weights & Biases, through Avalanche's own loggers."""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from avalanche.evaluation.metric_results import AlternativeValues, MetricValue
from avalanche.logging import TensorboardLogger, WandBLogger
from avalanche.logging.base_logger import BaseLogger

from ..distributed import is_main_process
from ..storage.files import digest
from .result import Key

PROJECT = "avalanche-aim"


def check_loggers(names: Sequence[str]) -> None:
    """Refuse loggers whose package is missing.

    :raises ImportError: naming the package.
    """
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise ImportError(f"log: expected the package {name}, which is not installed: pip install {name}")


@contextmanager
def loggers(names: Sequence[str], folder: Path, key: Key, settings: Mapping[str, Any]) -> Iterator[list[Any]]:
    """Make a run's loggers, and close them at its end.

    They log what is published (AIM's signals and merges), the metrics, and the loss of each training iteration.

    :param names: "tensorboard", "wandb".
    :param folder: where they write: ``tensorboard/<run>`` and ``wandb``.
    :param settings: of the run, which Weights & Biases shows beside it.
    """
    made: list[Any] = []
    with ExitStack() as stack:
        for name in names if is_main_process() else ():
            if name == "tensorboard":
                made.append(TensorboardLogger(folder / name / key.stem))
                stack.callback(made[-1].writer.close)
            else:
                folder.mkdir(parents=True, exist_ok=True)
                # A name of its own, so that a run that resumes is logged to where it was.
                own = digest([str(folder.resolve()), key.stem])[:16]
                params = {"id": own, "resume": "allow", "config": dict(settings), "reinit": "finish_previous"}
                made.append(_WandB(PROJECT, str(key), dir=folder, save_code=False, params=params))
                stack.callback(made[-1].wandb.finish)
        yield [*made, _TrainingLoss(made)] if made else []


class _WandB(WandBLogger):
    """Avalanche's logger, which asks for parts that wandb no longer has when it logs a number."""

    def log_single_metric(self, name: str, value: Any, x_plot: int) -> None:
        """Log a number; figures and the like are left out."""
        self.step = x_plot
        if isinstance(value, AlternativeValues):
            value = value.best_supported_value(float, int)
        if isinstance(value, float | int):
            self.wandb.log({name: value}, step=x_plot)


class _TrainingLoss(BaseLogger):
    """Hands the loss of each iteration to loggers; no metric, so that checkpoints do not depend on who logs."""

    def __init__(self, others: Sequence[Any]) -> None:
        super().__init__()
        self.others = others

    def log_single_metric(self, name: str, value: Any, x_plot: int) -> None:
        """Do nothing: the others log by themselves."""

    def after_training_iteration(self, strategy: Any, metric_values: Sequence[Any], **kwargs: Any) -> None:
        value = MetricValue(self, "Loss_MB/train_phase", float(strategy.loss.detach()), strategy.clock.train_iterations)
        for logger in self.others:
            logger.log_metrics([value])
