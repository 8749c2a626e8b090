"""Measuring general ability with lm-evaluation-harness, before the stream and after its tasks."""

import difflib
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

from avalanche.training.plugins import SupervisedPlugin

from ..evaluation.general import General, GeneralTask, answers
from ..merging.state import Stateful
from ..storage.files import digest
from ..text.model.fingerprint import model_fingerprint
from ..text.model.harness import harness_model
from .where import one_line

SHIPPED = Path(__file__).parent / "general_tasks"
"""The folder of the tasks that come with this library."""
METRICS = ("acc", "acc_norm", "exact_match")
"""What may say that an answer is right; the first of these that a task has is taken."""
FEW_SHOT_SEED = 1234
"""The harness's own default."""


class GeneralTasks:
    """Tasks of lm-evaluation-harness, loaded once for all runs of a comparison.

    What the hub keeps and cannot be reached is not measured, and :attr:`missing` says why; all else that is wrong is an
    error here, before any training.

    :param names: tasks or groups of the harness, "facts" for the one shipped here, or folders of local tasks, in whose
        YAML files paths are relative to the folder.
    :param limit: how many questions of each task are asked, from its first on; all by default.
    :param every: "task" to measure before the stream and after each task, "end" for before and at the end alone.
    :raises ImportError: without lm-eval.
    :raises ValueError: for a task that is unknown, broken, or whose answers are not right or wrong.
    """

    def __init__(self, names: Sequence[str], limit: int | None = None, every: str = "end") -> None:
        try:
            import lm_eval  # noqa: F401
        except ImportError as error:
            raise ImportError("general: expected the package lm-eval; pip install 'avalanche-aim[general]'") from error
        self.limit, self.every = limit, every
        self.missing: dict[str, str] = {}
        self.parts: dict[str, list[str]] = {}
        """Each task, or group, as it is shown → the tasks it consists of."""
        self._tasks: dict[str, Any] = {}
        self._begun: dict[str, dict[str, Any]] = {}
        with _quiet():
            self._load(names)
        for name, task in self._tasks.items():
            _check(name, task)

    def measure(self, model: Any, batch_size: int) -> dict[str, Any]:
        """Ask all questions.

        :param model: a :class:`~avalanche_aim.LanguageModel`; training goes on as if it had not been asked.
        :return: for each name its metric, the chance of guessing right of each question, and its answers.
        :raises ValueError: for scores that are neither right nor wrong, or a question of one option.
        """
        if not self._tasks:
            return {}
        from lm_eval.evaluator import evaluate

        for task in self._tasks.values():
            if task.get_config("num_fewshot") is None:
                task.set_config(key="num_fewshot", value=0)
            task.set_fewshot_seed(seed=FEW_SHOT_SEED)
        loaded = {"tasks": self._tasks, "groups": {}, "group_map": {}}
        with _quiet(), harness_model(model, batch_size) as asked:
            samples = evaluate(asked, loaded, limit=self.limit, bootstrap_iters=0)["samples"]
        return {name: self._answers(name, samples) for name in self.parts}

    def measure_first(self, model: Any, batch_size: int) -> dict[str, Any]:
        """The same for a model that is not trained yet: runs that begin with the same weights share the answers."""
        key = digest(model_fingerprint(model))
        if key not in self._begun:
            self._begun[key] = self.measure(model, batch_size)
        return self._begun[key]

    def _load(self, names: Sequence[str]) -> None:
        from lm_eval.tasks import TaskManager

        shipped = TaskManager(include_path=str(SHIPPED), include_defaults=False)
        harness: Any = None
        for name in names:
            if Path(name).expanduser().is_dir():
                folder = Path(name).expanduser().resolve()
                found = TaskManager(include_path=str(folder), include_defaults=False)
                _check_folder(folder, found)
                for task in found.all_subtasks:
                    self._add(task, _local(found, task, folder))
            elif name in shipped.all_tasks:
                self._add(name, _local(shipped, name, SHIPPED))
            else:
                harness = harness or TaskManager()  # reads some ten thousand files
                if name not in harness.all_tasks:
                    near = difflib.get_close_matches(name, [*shipped.all_tasks, *harness.all_tasks], n=5)
                    raise ValueError(
                        f"general: expected a task or group of lm-evaluation-harness, facts, or a folder of local "
                        f"tasks, got {name!r:.200}; near it are {', '.join(near) or 'none'}"
                    )
                try:
                    self._add(name, harness.load([name])["tasks"])
                except OSError as error:  # as the hub's errors are
                    self.missing[name] = f"its data could not be had: {one_line(error):.300}"
                except Exception as error:
                    raise ValueError(
                        f"general: expected a task that lm-evaluation-harness can load, {name!r:.200} fails with "
                        f"{one_line(error):.500}; mend that, or leave the task out"
                    ) from error

    def _add(self, name: str, tasks: dict[str, Any]) -> None:
        if name in self.parts:
            raise ValueError(f"general: expected tasks of different names, got {name!r:.200} twice; leave one out")
        self.parts[name] = list(tasks)
        self._tasks |= tasks

    def _answers(self, name: str, samples: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
        chance: list[float] = []
        right: list[Any] = []
        metrics = []
        for part in self.parts[name]:
            task, first = self._tasks[part], samples[part][0]["filter"]
            metric = _metric(task)
            asked = sorted((s for s in samples[part] if s["filter"] == first), key=lambda sample: sample["doc_id"])
            chance += [_chance(task, sample) for sample in asked]
            right += [sample[metric] for sample in asked]
            metrics.append(metric)
        if max(chance) >= 1.0:
            raise ValueError(f"general: {name}: expected two options or more, got a question that none can get wrong; "
                             "leave the task out")  # fmt: skip
        try:
            text = answers(right)
        except ValueError as error:
            raise ValueError(f"general: {name}: {error}; leave the task out") from error
        return {"metric": metrics[0], "chance": chance[:1] if len(set(chance)) == 1 else chance, "right": text}


class GeneralAbility(Stateful, SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """What one run has measured; a plugin so that checkpoints keep it. Each process asks all questions.

    :param stream: how many tasks the stream has.
    """

    STATE = ("after", "found")

    def __init__(self, asked: GeneralTasks, stream: int, batch_size: int) -> None:
        super().__init__()
        self._asked, self._stream, self._batch_size = asked, stream, batch_size
        self.after: list[int] = []
        self.found: dict[str, dict[str, Any]] = {}

    def measure(self, model: Any, seen: int) -> None:
        """Measure, where that is asked for and not done yet.

        :param seen: how many tasks it has been trained on.
        """
        if seen in self.after or (self._asked.every == "end" and 0 < seen < self._stream):
            return
        found = (self._asked.measure if seen else self._asked.measure_first)(model, self._batch_size)
        self.after.append(seen)
        for name, one in found.items():
            kept = self.found.setdefault(name, {"metric": one["metric"], "chance": one["chance"], "right": []})
            kept["right"].append(one["right"])

    def result(self) -> General:
        """Return what was measured."""
        tasks = [GeneralTask(name, after=list(self.after), **one) for name, one in self.found.items()]
        return General(tasks, dict(self._asked.missing))


def _local(manager: Any, name: str, folder: Path) -> dict[str, Any]:
    try:
        with chdir(folder):
            return manager.load([name])["tasks"]
    except Exception as error:
        raise ValueError(
            f"general: {folder}: expected tasks that lm-evaluation-harness can load, {name!r:.200} fails with "
            f"{one_line(error):.500}; paths in its file are relative to the folder"
        ) from error


def _check_folder(folder: Path, manager: Any) -> None:
    """Refuse files that the harness would pass over without a word."""
    entries = manager.task_index
    read = {entry.yaml_path for entry in entries.values()}
    for path in sorted(folder.rglob("*.yaml")):
        if path not in read and re.search(r"^task:", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE):
            raise ValueError(f"general: {path}: expected the YAML file of a task of its own name, which it is not, or "
                             "another file has the name; correct or remove it")  # fmt: skip
    if not manager.all_subtasks:
        raise ValueError(f"general: {folder}: expected YAML files of tasks in lm-evaluation-harness's form "
                         "(task: name), found none")  # fmt: skip


def _check(name: str, task: Any) -> None:
    if getattr(task, "UNSAFE_CODE", False) or getattr(task, "MULTIMODAL", False):
        raise ValueError(f"general: expected tasks of text that run no generated code, got {name!r:.200}; leave it out")
    _metric(task)


def _metric(task: Any) -> str:
    there = list(task.aggregation())
    found = next((metric for metric in METRICS if metric in there), None)
    if found is None:
        raise ValueError(
            f"general: expected tasks whose answers are right or wrong ({', '.join(METRICS)}), "
            f"{task.config.task} has {', '.join(map(str, there)):.200}; leave it out"
        )
    return found


def _chance(task: Any, sample: dict[str, Any]) -> float:
    """The probability of guessing right: of the options those that are right; 0 for an answer in words of its own."""
    if task.OUTPUT_TYPE != "multiple_choice":
        return 0.0
    options = len(sample["arguments"]) // (2 if "acc_mutual_info" in task.aggregation() else 1)
    right = sample["target"]
    return (len(right) if isinstance(right, list) else 1) / options


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the harness's bars and messages from the one line of progress; errors come through."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with redirect_stderr(StringIO()):
            yield
    finally:
        logger.setLevel(level)
