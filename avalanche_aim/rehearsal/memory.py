"""What is rehearsed: a small, balanced share of each experience."""

import sys
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from avalanche.training.storage_policy import ExemplarsBuffer
from torch.utils.data import default_collate

from .sampling import balanced_choice


class RehearsalMemory(ExemplarsBuffer):
    """A share of each past experience, balanced over its targets and never changed afterwards.

    It is an Avalanche storage policy too, so that ``ReplayPlugin(mem_size=memory.max_size,
    storage_policy=memory)`` rehearses the same examples. Source: arXiv 2509.17348 (2 % of each past task); the
    published code keeps one example of each distinct target whatever the share; ``per_label=1`` does so too.

    :param size: a float in [0, 1] for a fraction of each experience (1.0 is all of it), an int for a count of
        examples of each.
    :param seed: of the memory's own choice of examples.
    :param per_label: at least so many examples of each distinct target, even where ``size`` is less.
    :raises ValueError: for a fraction outside [0, 1] or a negative count.
    """

    def __init__(self, size: float | int = 0.02, seed: int = 0, per_label: int = 0) -> None:
        if isinstance(size, bool) or not isinstance(size, (int, float)):
            raise TypeError(f"memory: expected a fraction (float) or a count (int), got {size!r}")
        if isinstance(size, float) and not 0.0 <= size <= 1.0:
            raise ValueError(f"memory: expected a fraction in [0, 1] (or a count as an int), got {size}")
        if size < 0:
            raise ValueError(f"memory: expected a count of 0 or more examples, got {size}")
        if isinstance(per_label, bool) or not isinstance(per_label, int) or per_label < 0:
            raise ValueError(f"per_label: expected a count of 0 or more examples, got {per_label!r}")
        super().__init__(max_size=sys.maxsize)
        self.size, self.per_label = size, per_label
        self.selected: list[list[int]] = []
        """For each past experience the rows of its data set that are kept."""
        self._generator = torch.Generator().manual_seed(seed)
        self._last: Any = None

    def __len__(self) -> int:
        return sum(len(rows) for rows in self.selected)

    def examples_of(self, length: int, labels: int = 0) -> int:
        """How many examples of an experience are kept.

        :param length: the experience's number of examples.
        :param labels: of its distinct targets.
        """
        # rounding first: 0.29 * 100 is 28.999…
        size = self.size if isinstance(self.size, int) else int(round(self.size * length, 6))
        return min(max(size, self.per_label * labels), length)

    def add(self, dataset: Any) -> None:
        """Keep the share of one more experience.

        :param dataset: its ``AvalancheDataset``; balanced over ``dataset.targets`` where it has them.
        """
        targets = [int(target) for target in getattr(dataset, "targets", range(len(dataset)))]
        size = self.examples_of(len(dataset), len(set(targets)))
        if size == 0 and self.size > 0:
            warnings.warn(
                f"nothing of this experience is rehearsed: {self.size} of {len(dataset)} examples is less than "
                "one; give the memory's size as a count (an int) to keep some",
                stacklevel=2,
            )
        rows = self.choose(targets, size)
        self.selected.append(rows)
        if rows:
            kept = dataset.subset(rows)
            self.buffer: Any = kept if len(self) == len(rows) else self.buffer.concat(kept)

    def choose(self, targets: Sequence[int], size: int) -> list[int]:
        """Choose which rows of an experience are kept; a memory of your own may choose otherwise.

        :param targets: of the experience's examples.
        :param size: how many to keep.
        """
        return balanced_choice(targets, size, self._generator)

    def post_adapt(self, agent_state: Any, exp: Any) -> None:
        """Keep the share of an experience (Avalanche's storage-policy hook).

        One memory may serve several plugins, so the experience that was added last is not added again.
        """
        if exp is not self._last:
            self.add(exp.dataset)
            self._last = exp

    def state_dict(self) -> dict[str, Any]:
        """Return which rows are kept, and where the choice's generator is; not the rows' content."""
        return {"selected": [list(rows) for rows in self.selected], "generator": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any], experiences: Sequence[Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        :param state: the state.
        :param experiences: those whose shares are kept, in order; they hold the rows.
        """
        if len(state["selected"]) != len(experiences):
            raise ValueError(f"memory: expected {len(state['selected'])} experiences, got {len(experiences)}")
        for rows, experience in zip(state["selected"], experiences, strict=True):
            if not set(rows) <= set(range(len(experience.dataset))):
                raise ValueError(f"memory: expected rows of {len(experience.dataset)} examples, got {rows!r:.80}")
        self.selected = [list(rows) for rows in state["selected"]]
        self._generator.set_state(state["generator"])
        self._last = experiences[-1] if experiences else None
        kept = [e.dataset.subset(rows) for e, rows in zip(experiences, self.selected, strict=True) if rows]
        for number, part in enumerate(kept):
            self.buffer = part if number == 0 else self.buffer.concat(part)

    def resize(self, strategy: Any, new_size: int) -> None:
        """Refused: past shares are fixed.

        :raises NotImplementedError: always.
        """
        raise NotImplementedError("a RehearsalMemory keeps a share of each experience; choose the share when making it")

    def batch(self, size: int, generator: torch.Generator, among: Sequence[int] | None = None) -> Any:
        """Draw a random batch without replacement.

        :param size: examples; all where there are fewer.
        :param generator: the only source of randomness for the choice.
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
