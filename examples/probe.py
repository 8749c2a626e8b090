"""Measuring tasks while another one is being trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from avalanche.training.plugins import SupervisedPlugin
from torch import Tensor

from avalanche_aim import AIMMergingPlugin
from avalanche_aim.experiments import Configuration
from avalanche_aim.experiments.models import LanguageModels
from avalanche_aim.experiments.progress import Progress, progress_bar
from avalanche_aim.experiments.runner import make_strategy, seed_everything
from avalanche_aim.merging import History
from avalanche_aim.text.model.scoring import matches_of
from avalanche_aim.training.isolation import eval_mode


@dataclass(frozen=True)
class ProbeRecord:
    """One task, measured after ``iteration`` (from 1) of training on ``experience``.

    ``loss`` is the mean loss of the gold answers, ``score`` their greedy exact match in percent.
    """

    experience: int
    iteration: int
    task: int
    loss: float
    score: float


class Probe(SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Evaluates all tasks seen so far every few iterations; training goes on as if it had not.

    Listed after :class:`~avalanche_aim.AIMMergingPlugin` it sees merged weights.

    :param stream: the experiences to measure, ``benchmark.dev_stream`` say; those not trained on yet are left out.
    :param every: training iterations between two measurements.
    :param batch_size: examples of a pass.
    :raises ValueError: if ``every`` or ``batch_size`` is below 1.
    """

    def __init__(self, stream: Sequence[Any], every: int = 8, batch_size: int = 16) -> None:
        super().__init__()
        if every < 1 or batch_size < 1:
            raise ValueError(f"Probe: expected every and batch_size of 1 or more, got {every} and {batch_size}")
        self.stream = stream
        self.every = every
        self.batch_size = batch_size
        self.records: list[ProbeRecord] = []
        self._iteration = 0
        self._data: dict[int, tuple[Tensor, Tensor]] = {}

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Count iterations anew."""
        self._iteration = 0

    def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Measure, if it is time."""
        self._iteration += 1
        current = strategy.experience.current_experience
        if self._iteration % self.every == 0:
            for experience in self.stream[: current + 1]:
                task = experience.current_experience
                record = ProbeRecord(current, self._iteration, task, *self._measure(strategy, experience))
                self.records.append(record)

    @torch.no_grad()
    def _measure(self, strategy: Any, experience: Any) -> tuple[float, float]:
        task, dataset = experience.current_experience, experience.dataset
        if task not in self._data:
            rows = torch.stack([dataset[i][0] for i in range(len(dataset))])
            self._data[task] = rows, torch.tensor(list(dataset.targets))
        rows, targets = self._data[task]
        loss, right = 0.0, 0
        with eval_mode(strategy.model):
            for x, y in zip(rows.split(self.batch_size), targets.split(self.batch_size), strict=True):
                out = strategy.model(x.to(strategy.device))
                exact = matches_of(out)
                loss -= float(out.gather(1, y.to(out.device)[:, None]).sum())
                right += 0 if exact is None else int(exact.sum())
        return loss / len(rows), 100.0 * right / len(rows)


def train_probed(
    configuration: Configuration, memory: float | int, every: int, tasks: int | None = None, progress: bool = True
) -> tuple[History, Probe, list[str]]:
    """Train with AIM, measuring the dev data of the tasks seen so far every few iterations.

    :param configuration: the benchmark, the model and how to train; its first order and seed count.
    :param memory: rehearsed of each past task, a fraction or a count.
    :param every: iterations between two measurements.
    :param tasks: how many tasks of the order to train on, or None for all.
    :param progress: whether to show a progress bar.
    :return: the plugin's history, the measurements, and the tasks' names.
    """
    seed = configuration.seeds[0]
    models = LanguageModels(configuration)
    benchmark = models.benchmark(configuration.orders[0])
    stream = benchmark.train_stream[:tasks]
    seed_everything(seed)
    aim, probe = AIMMergingPlugin("paper", memory=memory, seed=seed), Probe(benchmark.dev_stream, every)
    amounts = [len(experience.dataset) * configuration.epochs for experience in stream]
    with progress_bar(sum(amounts), progress) as bar:
        watch = Progress(bar, f"AIM, memory {memory}", amounts)
        strategy = make_strategy(models.model(seed), configuration, seed, [], plugins=[aim, probe, watch])
        for experience in stream:
            strategy.train(experience, reset_optimizer_state=True)
    return aim.history, probe, [experience.task_name for experience in stream]
