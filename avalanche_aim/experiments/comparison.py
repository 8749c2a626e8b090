"""A whole comparison: strategies × orders × seeds, resumable run by run."""

import traceback
from itertools import product
from pathlib import Path
from typing import Any

from avalanche.benchmarks import CLScenario

from ..distributed import count, from_main, is_main, machine_first
from ..text import LanguageModel
from .configuration import Configuration
from .progress import progress_bar
from .runner import Result, batch_of_process, examples_of, run
from .single_task import single_task_scores
from .store import Failure, RunStore


class Comparison:
    """Runs what is not finished yet; every run that ends is on disk at once.

    A run that was interrupted starts over and gives the same result. One that fails is recorded, tried again the next
    time, and does not stop the others. Everything that can be checked is checked here, before training starts.

    Several processes (:mod:`avalanche_aim.distributed`) share every run out; the first one keeps the folder. A run that
    fails then ends the comparison, since it may have failed in one of them alone.

    :param configuration: what to run.
    :param folder: where the runs are kept; created if need be.
    :raises ValueError: for malformed data, an unknown order and the like, and if the folder holds finished runs with
        other settings.
    """

    def __init__(self, configuration: Configuration, folder: Path) -> None:
        self.configuration = configuration
        self.store = RunStore(folder)
        batch_of_process(configuration.batch_size)
        self.ended: dict[tuple[int, str, str], Result | Failure | None] = from_main(self._finished)
        self.streams: dict[str, CLScenario] = {}
        self._model: tuple[int, LanguageModel] | None = None
        self._single: dict[tuple[int, str], list[float]] = {}
        if self._pending():
            with machine_first():
                model = self._model_of(configuration.seeds[0])
                self.streams = {o: configuration.make_benchmark(o, model.tokenizer) for o in configuration.orders}
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def results(self) -> list[Result]:
        """What is finished, by seed, order and strategy."""
        return [ended for ended in self.ended.values() if isinstance(ended, Result)]

    @property
    def failures(self) -> list[Failure]:
        """What failed this time."""
        return [ended for ended in self.ended.values() if isinstance(ended, Failure)]

    def run(self, progress: bool = True) -> None:
        """Run all that is pending.

        :param progress: whether to show a progress bar.
        """
        pending = self._pending()
        bar = progress_bar(sum(self._examples(*key) for key in pending), progress and bool(pending))
        try:
            for number, (seed, order, name) in enumerate(pending, start=1):
                end = bar.n + self._examples(seed, order, name)
                label = f"{number}/{len(pending)} {name}, order {order}, seed {seed}"
                ended = self._attempt(seed, order, name, bar, label)
                self.ended[seed, order, name] = ended
                if is_main():
                    self.store.save(ended, self.configuration.of_run(name))
                if isinstance(ended, Failure):
                    bar.write(f"{name}, order {order}, seed {seed} failed: {ended.error}")
                bar.update(end - bar.n)
        finally:
            bar.close()
        if is_main() and (self.results or self.failures):
            self.store.write_summary(self.configuration.plain())

    def _attempt(self, seed: int, order: str, name: str, bar: Any, label: str) -> Result | Failure:
        settings, stream = self.configuration.settings(seed), self.streams[order]
        model = self._model_of(seed)
        if self.configuration.fwt and (seed, order) not in self._single:
            # Outside the try: without its references no run of this seed can be what was asked for.
            self._single[seed, order] = single_task_scores(model, stream, settings, progress=not bar.disable)
        single = self._single.get((seed, order))
        finished = self.ended[seed, order, name]
        if isinstance(finished, Result):
            finished.single = single
            return finished
        options = self.configuration.options.get(name)
        try:
            return run(name, model, stream, settings, order=order, options=options, single=single, bar=bar, label=label)
        except Exception as error:
            if count() > 1:
                raise
            line = " ".join(str(error).split()) or "no message"
            return Failure(name, order, seed, f"{type(error).__name__}: {line}", traceback.format_exc())

    def _finished(self) -> dict[tuple[int, str, str], Result | Failure | None]:
        """What is on disk of all that is to be run."""
        configuration = self.configuration
        self.store.check(configuration.shared())
        return {
            (seed, order, name): self.store.finished(name, order, seed, configuration.of_run(name))
            for seed, order, name in product(configuration.seeds, configuration.orders, configuration.strategies)
        }

    def _pending(self) -> list[tuple[int, str, str]]:
        """What is not finished, or lacks the references that are asked for now."""
        fwt = self.configuration.fwt
        return [key for key, ended in self.ended.items()
                if not isinstance(ended, Result) or (fwt and ended.single is None)]  # fmt: skip

    def _examples(self, seed: int, order: str, name: str) -> int:
        finished = isinstance(self.ended[seed, order, name], Result)
        return 0 if finished else examples_of(self.streams[order], self.configuration.settings(seed))

    def _model_of(self, seed: int) -> LanguageModel:
        """The model that runs of this seed start from; one backbone in memory at a time."""
        if self._model is None or self._model[0] != seed:
            self._model = None
            self._model = seed, self.configuration.load_model(seed)
        return self._model[1]
