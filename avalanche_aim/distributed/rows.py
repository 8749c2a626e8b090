"""Which rows of a common batch are a process's, and a data loader that loads no others."""

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from avalanche.benchmarks.utils.data_loader import MultiDatasetDataLoader
from torch import Tensor, distributed
from torch.utils.data import DataLoader

from .noise import OwnNoise
from .processes import check_same, rank, world_size


@dataclass(frozen=True)
class Rows:
    """The rows of a common batch of ``total`` rows that are this process's: every ``world_size``-th."""

    total: int

    @property
    def count(self) -> int:
        """This process's; none where there are fewer rows than processes."""
        return len(range(rank(), self.total, world_size()))

    @property
    def most(self) -> int:
        """Those of the process that has most."""
        return -(-self.total // world_size())

    @property
    def weight(self) -> float:
        """What this process's mean counts for in the mean over processes, so that all rows count alike."""
        return self.count * world_size() / self.total

    def own(self, rows: Any) -> Any:
        """Return this process's of a list or tensor, or the last row, whose weight is zero, where it has none."""
        return rows[rank() :: world_size()] if self.count else rows[-1:]

    def gather(self, own: Tensor) -> Tensor:
        """Return all rows, in their order, from what :meth:`own` gave each process."""
        padded = own.new_zeros((self.most, *own.shape[1:]))
        padded[: self.count] = own[: self.count]
        parts = [torch.empty_like(padded) for _ in range(world_size())]
        distributed.all_gather(parts, padded)
        return torch.stack(parts, 1).flatten(0, 1)[: self.total]


class OwnBatches:
    """A batch sampler that gives this process's rows of each batch.

    That all processes draw the same rows is checked after 1, 2, 3, 5, 9, 17, … batches, for all of them.
    """

    def __init__(self, batches: Any) -> None:
        self.batches = batches
        self.drawn: deque[Rows] = deque()
        """Of the batches that were drawn and not loaded yet."""
        self._noise: OwnNoise | None = None

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        self.drawn.clear()
        content = 0
        for number, batch in enumerate(self.batches):
            self.loaded()
            content = zlib.crc32(torch.tensor(batch).numpy().tobytes(), content)
            if number & (number - 1) == 0:
                check_same({"rows of a batch": content}, "plugins need the same seeds on all processes, and loaders "
                           "that share out examples by themselves cannot be used")  # fmt: skip
            rows = Rows(len(batch))
            self.drawn.append(rows)
            self._noise = OwnNoise(torch.device("cpu"))  # of transforms, which processes draw for other rows
            yield rows.own(batch)
        self.loaded()

    def loaded(self) -> None:
        """Go on with the common random streams: the rows that were given are loaded."""
        if self._noise is not None:
            self._noise.end()
            self._noise = None


class SharedLoader:
    """A data loader that loads this process's rows of each batch, and is itself in all else.

    :param loader: of torch, or of Avalanche, whose own sharding (in one order for all epochs) is taken out.
    :param begin: is told the rows of each batch right before it is given.
    :raises ValueError: for a loader that draws no batches of row numbers.
    """

    def __init__(self, loader: Any, begin: Callable[[Rows], None]) -> None:
        self._begin = begin
        self._batches: OwnBatches | None = None
        if isinstance(loader, MultiDatasetDataLoader):
            self.loader: Any = _Avalanche(loader, self._cut)
        elif isinstance(loader, DataLoader) and loader.batch_sampler is not None:
            self.loader = DataLoader(
                loader.dataset,
                batch_sampler=self._cut(loader.batch_sampler),
                collate_fn=loader.collate_fn,
                num_workers=loader.num_workers,
                pin_memory=loader.pin_memory,
                worker_init_fn=loader.worker_init_fn,
                generator=loader.generator,
                persistent_workers=loader.persistent_workers,
            )
        else:
            raise ValueError(f"DataParallel: expected a data loader that draws batches of row numbers, got "
                             f"{type(loader).__name__}; train with it in one process")  # fmt: skip

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.loader:
            batches = self._batches
            assert batches is not None
            batches.loaded()
            self._begin(batches.drawn.popleft())
            yield batch

    def _cut(self, batches: Iterable[Sequence[int]]) -> OwnBatches:
        self._batches = OwnBatches(batches)
        return self._batches


def is_shared(loader: Any) -> bool:
    """Whether a loader is shared out already, perhaps inside another one (in an epoch before)."""
    while loader is not None and not isinstance(loader, SharedLoader):
        loader = vars(loader).get("loader")
    return loader is not None


def ordered_as_alone(loader: Any) -> Any:
    """Return a loader whose rows come as without a process group, where Avalanche draws them in one order for all."""
    if isinstance(loader, MultiDatasetDataLoader) and loader.distributed_sampling:
        return _Avalanche(loader, lambda batches: batches)
    return loader


class _Avalanche(MultiDatasetDataLoader):
    """Avalanche's loader of several data sets, without its own sharding, its batch sampler cut."""

    def __init__(self, loader: MultiDatasetDataLoader, cut: Callable[[Any], Any]) -> None:
        self._cut = cut
        super().__init__(
            loader.datasets,
            loader.batch_sizes,
            loader.termination_dataset,
            loader.oversample_small_datasets,
            distributed_sampling=False,
            never_ending=loader.never_ending,
            ffcv_args=loader.ffcv_args,
            **loader.loader_kwargs,
        )

    def _make_pytorch_loader(self, datasets: Any, batch_sampler: Any) -> Any:
        return super()._make_pytorch_loader(datasets, self._cut(batch_sampler))

    def _make_ffcv_loader(self, datasets: Any, batch_sampler: Any) -> Any:
        return super()._make_ffcv_loader(datasets, self._cut(batch_sampler))
