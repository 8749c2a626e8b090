"""Means over runs, paired differences to a baseline with a bootstrap interval, relative changes.

Pure functions of numbers; docs/reports.md says what they do and do not show.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 10_000
FEW = 10
"""With fewer pairs an interval is called rough: resampling so few covers the true mean much less often than it says."""

Interval = tuple[float, float]
Run = tuple[str, int]
"""What pairs two runs: order and seed."""


@dataclass(frozen=True)
class Spread:
    """The mean of ``count`` values and their sample standard deviation, None for a single value."""

    count: int
    mean: float
    deviation: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread | None":
        """Summarise values."""
        if not values:
            return None
        return cls(len(values), fmean(values), stdev(values) if len(values) > 1 else None)


@dataclass(frozen=True)
class Difference:
    """Paired differences, run − baseline.

    :param spread: of the differences; ``spread.count`` is the number of pairs.
    :param interval: the bootstrap interval of their mean; None for a single pair.
    :param relative: :func:`relative_change` over the pairs, as a fraction.
    """

    spread: Spread
    interval: Interval | None
    relative: float | None

    @property
    def rough(self) -> bool:
        """Whether the pairs are too few for the interval to be taken at its word."""
        return self.spread.count < FEW

    @property
    def excludes_zero(self) -> bool:
        """Whether all of the interval lies on one side of 0."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)


def paired_difference(values: Mapping[Run, float], baseline: Mapping[Run, float]) -> Difference | None:
    """Compare with a baseline over the runs that both have.

    :return: None where they share no order and seed.
    """
    shared = sorted(values.keys() & baseline.keys())
    spread = Spread.of([values[run] - baseline[run] for run in shared])
    if spread is None:
        return None
    interval = bootstrap_interval([values[run] - baseline[run] for run in shared]) if spread.count > 1 else None
    return Difference(spread, interval, relative_change([values[r] for r in shared], [baseline[r] for r in shared]))


def bootstrap_interval(
    values: Sequence[float], confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Return the percentile bootstrap interval of the mean, by :func:`scipy.stats.bootstrap`.

    Efron, *Bootstrap Methods: Another Look at the Jackknife* (1979); the same seed gives the same interval.

    :raises ValueError: for fewer than two values: one says nothing about its spread.
    """
    from scipy.stats import bootstrap

    if len(values) < 2:
        raise ValueError(f"bootstrap: expected at least 2 values, got {len(values)}; add seeds or orders")
    generator = np.random.default_rng(seed)
    found = bootstrap((values,), np.mean, confidence_level=confidence, n_resamples=resamples, method="percentile",
                      rng=generator)  # fmt: skip
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def relative_change(values: Sequence[float], baseline: Sequence[float]) -> float | None:
    """Return (mean of values − mean of baseline) / |mean of baseline|, as a fraction.

    The absolute value keeps the sign of the change where the baseline is negative, as BWT often is: from −10 to −4 is
    +60 %. The ratio means something only if the baseline is safely away from 0, so it is undefined unless all of its
    runs are positive or all negative.

    :param values: of the same runs as the baseline.
    :return: None where it is undefined.
    """
    if not values or not (min(baseline) > 0 or max(baseline) < 0):
        return None
    reference = fmean(baseline)
    return (fmean(values) - reference) / abs(reference)
