"""What is rehearsed: a small, balanced share of each experience."""

import sys
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from avalanche.benchmarks.utils import concat_datasets
from avalanche.training.storage_policy import ExemplarsBuffer
from torch.utils.data import default_collate

from .sampling import balanced_choice
from .task import Task

RESERVOIR = 200
"""Examples kept of a stream without task boundaries where a fraction was asked for: what ReplayPlugin keeps."""


class RehearsalMemory(ExemplarsBuffer):
    """A share of each past task, balanced over its targets and never changed afterwards.

    A task is an experience, or, of an online stream with task boundaries, all experiences that were made of it. Of an
    online stream without them the memory is a reservoir: a random sample of all examples seen, of constant size.

    It is an Avalanche storage policy too, so that ``ReplayPlugin(mem_size=memory.max_size,
    storage_policy=memory)`` rehearses the same examples. Source: arXiv 2509.17348 (2 % of each past task); like the
    published code it keeps one example of each distinct target, however small the fraction.

    :param size: a float in [0, 1] for a fraction of each task (1.0 is all of it), an int for a count of examples of
        each, or of the whole reservoir.
    :param seed: of the memory's own choice of examples.
    :param per_label: at least so many examples of each distinct target, even where ``size`` is less; a warning says how
        many these are. By default 1 beside a fraction above 0, and 0 beside a count, which is taken at its word.
    :raises ValueError: for a fraction outside [0, 1] or a negative count.
    """

    def __init__(self, size: float | int = 0.02, seed: int = 0, per_label: int | None = None) -> None:
        if isinstance(size, bool) or not isinstance(size, (int, float)):
            raise TypeError(f"memory: expected a fraction (float) or a count (int), got {size!r}")
        if isinstance(size, float) and not 0.0 <= size <= 1.0:
            raise ValueError(f"memory: expected a fraction in [0, 1] (or a count as an int), got {size}")
        if size < 0:
            raise ValueError(f"memory: expected a count of 0 or more examples, got {size}")
        if per_label is None:
            per_label = int(isinstance(size, float) and size > 0)
        if isinstance(per_label, bool) or not isinstance(per_label, int) or per_label < 0:
            raise ValueError(f"per_label: expected a count of 0 or more examples, got {per_label!r}")
        super().__init__(max_size=sys.maxsize)
        self.size, self.per_label = size, per_label
        self.selected: list[list[int]] = []
        """For each past task the rows of its data that are kept; of a reservoir, their places in the stream."""
        self.pending: list[Any] = []
        """The data of a task whose experiences are not all seen yet."""
        self._generator = torch.Generator().manual_seed(seed)
        self._last: Any = None
        self._task: Any = None
        self._tasks: list[Any] = []
        self._seen = 0
        self._keys = torch.zeros(0, dtype=torch.float64)

    def __len__(self) -> int:
        return sum(len(rows) for rows in self.selected)

    def examples_of(self, length: int, labels: int = 0) -> int:
        """How many examples of an experience of so many examples and distinct targets are kept."""
        # rounding first: 0.29 * 100 is 28.999…
        size = self.size if isinstance(self.size, int) else int(round(self.size * length, 6))
        return min(max(size, self.per_label * labels), length)

    def add(self, dataset: Any) -> None:
        """Keep the share of one more experience's data, balanced over its ``targets`` where it has them."""
        labelled = hasattr(dataset, "targets")
        targets = [int(target) for target in dataset.targets] if labelled else list(range(len(dataset)))
        size = self.examples_of(len(dataset), len(set(targets)) if labelled else 0)
        if size == 0 and self.size > 0:
            warnings.warn(
                f"nothing of this task is rehearsed: {self.size} of {len(dataset)} examples is less than "
                "one; give the memory's size as a count (an int) to keep some",
                stacklevel=2,
            )
        elif size > self.examples_of(len(dataset)):
            warnings.warn(
                f"memory: {self.size} of {len(dataset)} examples is less than {self.per_label} for each label; {size} "
                f"are kept ({size / len(dataset):.1%})",
                stacklevel=2,
            )
        rows = self.choose(targets, size)
        self.selected.append(rows)
        if rows:
            kept = dataset.subset(rows)
            self.buffer: Any = kept if len(self) == len(rows) else self.buffer.concat(kept)

    def choose(self, targets: Sequence[int], size: int) -> list[int]:
        """Choose which rows of an experience are kept, by their targets; a memory of your own may choose otherwise."""
        return balanced_choice(targets, size, self._generator)

    def pre_adapt(self, agent_state: Any, exp: Any) -> None:
        """Remember the task before this experience's, if some of it was still expected."""
        if self.pending and Task.of(exp).origin is not self._task:
            self._close(agent_state)

    def post_adapt(self, agent_state: Any, exp: Any) -> None:
        """Keep what is to be kept of an experience (Avalanche's storage-policy hook).

        One memory may serve several plugins, so the experience that was added last is not added again.
        """
        if exp is self._last:
            return
        self.pre_adapt(agent_state, exp)
        self._last, task = exp, Task.of(exp)
        if (task.origin is None) != bool(self._seen) and (self.selected or self.pending):
            raise ValueError("memory: expected a stream with task boundaries or one without, got both")
        if task.origin is None:
            self._sample(exp.dataset)
            return
        self._task = task.origin
        self.pending.append(exp.dataset)
        if len(self.pending) == task.parts:
            self._close(agent_state)

    def remember(self, agent_state: Any, dataset: Any) -> None:
        """Keep the share of a task that has ended."""
        self.add(dataset)

    def knows(self, experience: Any) -> bool:
        """Whether a share of an experience's task is kept already."""
        origin = Task.of(experience).origin
        return any(task is origin for task in self._tasks)

    def _close(self, agent_state: Any) -> None:
        data = self.pending[0] if len(self.pending) == 1 else concat_datasets(self.pending)
        self.pending = []
        if not any(task is self._task for task in self._tasks):
            self._tasks.append(self._task)
            self.remember(agent_state, data)

    def _sample(self, dataset: Any) -> None:
        """Reservoir sampling: each example has a random key, and those with the highest are kept."""
        size = self.size
        if isinstance(size, float):
            if not self._seen:
                warnings.warn(f"memory: nobody knows how many examples {size} of a stream without task boundaries are; "
                              f"{RESERVOIR} are kept, give another count (an int)", stacklevel=2)  # fmt: skip
            size = RESERVOIR if size else 0
        keys = torch.rand(len(dataset), generator=self._generator, dtype=torch.float64)
        keys = torch.cat([self._keys, keys])
        places = [*(self.selected[0] if self.selected else []), *range(self._seen, self._seen + len(dataset))]
        kept = keys.topk(min(size, len(keys))).indices.sort().values
        self._seen += len(dataset)
        self._keys = keys[kept]
        whole = self.buffer.concat(dataset) if len(self) else dataset
        self.selected = [[places[row] for row in kept.tolist()]]
        self.buffer = whole.subset(kept.tolist())

    def state_dict(self) -> dict[str, Any]:
        """Return which rows are kept, and where the choice's generator is; not the rows' content."""
        return {
            "selected": [list(rows) for rows in self.selected],
            "generator": self._generator.get_state(),
            "seen": self._seen,
            "keys": self._keys,
        }

    def load_state_dict(
        self, state: dict[str, Any], past: Sequence[Any], buffer: Any, pending: Sequence[Any] = ()
    ) -> None:
        """Restore what :meth:`state_dict` returned.

        :param past: the experiences that were trained on, in order.
        :param buffer: the data that was in ``buffer``.
        :param pending: the data that was in ``pending``.
        :raises ValueError: if these do not belong together.
        """
        selected = [list(rows) for rows in state["selected"]]
        counted = all(type(row) is int and row >= 0 for rows in selected for row in rows)
        if not counted or sum(map(len, selected)) != len(buffer) or type(state["seen"]) is not int:
            raise ValueError(f"memory: expected the places of {len(buffer)} examples, got {selected!r:.80}")
        if len(state["keys"]) != (len(buffer) if state["seen"] else 0):
            raise ValueError(f"memory: expected a key for each of {len(buffer)} examples, got {len(state['keys'])}")
        self._generator.set_state(state["generator"])
        self.selected, self._seen, self._keys = selected, state["seen"], state["keys"].double()
        self.pending = list(pending)
        self._last = past[-1] if past else None
        tasks = {id(task): task for task in (Task.of(e).origin for e in past) if task is not None}
        self._tasks = list(tasks.values())
        if pending:
            self._task = self._tasks.pop()
        if len(buffer):
            self.buffer = buffer

    def resize(self, strategy: Any, new_size: int) -> None:
        """Refused with a NotImplementedError: past shares are fixed."""
        raise NotImplementedError("a RehearsalMemory keeps a share of each experience; choose the share when making it")

    def batch(self, size: int, generator: torch.Generator, among: Sequence[int] | None = None) -> Any:
        """Draw a random batch without replacement.

        :param size: examples; all where there are fewer.
        :param among: the memory's rows to choose from, counted over all experiences; all of them by default.
        :return: the collated batch, as the strategy's data loader would give it.
        """
        rows = torch.randperm(len(self) if among is None else len(among), generator=generator)[:size].tolist()
        if among is not None:
            rows = [among[row] for row in rows]
        collate = getattr(self.buffer, "collate_fn", None) or default_collate
        return collate([self._example(row) for row in rows])

    def _example(self, number: int) -> Any:
        """Load an example; an error in its data says which one it is."""
        try:
            return self.buffer[number]
        except Exception as error:
            for experience, rows in enumerate(self.selected):
                if number < len(rows):
                    error.add_note(f"while loading row {rows[number]} of past experience {experience} from the memory")
                    break
                number -= len(rows)
            raise
