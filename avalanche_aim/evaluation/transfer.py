"""The R matrix and what follows from it.

R[i][j] is the score on task j's test set after training on task i (0-based, T tasks). It is the only stored
result: every number below is a pure function of it. Scores are percentages here; any scale works.

Definitions differ between papers and tools (BWT over T tasks or T − 1, for one), so :data:`DEFINITIONS` goes along
wherever the numbers are written.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
"""R, shape (T, T), with NaN where nothing was measured."""

DEFINITIONS = {
    "OP": "overall performance: mean_j R[T-1][j]",
    "BWT": "backward transfer: sum_{j<T-1} (R[T-1][j] - R[j][j]) / (T-1); Lopez-Paz and Ranzato 2017, eq. 3",
    "FWT": "forward transfer: mean_j (R[j][j] - b_j) over all T tasks; b_j: task j's score after training on it alone, "
    "from the same starting weights and settings",
    "Forgetting": "mean over j<T-1 of max_{i>=j} R[i][j] - R[T-1][j]",
}
"""What each metric means."""


def result_matrix(rows: Sequence[Sequence[float | None]]) -> Matrix:
    """Make an R matrix from rows that may be short or have None where nothing was measured.

    :param rows: R[i][j], one row a trained task.
    :raises ValueError: if a row is longer than there are tasks, or there is none.
    """
    size = len(rows)
    if size == 0 or any(len(row) > size for row in rows):
        raise ValueError(f"R: expected T rows of at most T scores, got rows of {[len(row) for row in rows]}")
    matrix = np.full((size, size), np.nan)
    for i, row in enumerate(rows):
        matrix[i, : len(row)] = [np.nan if score is None else score for score in row]
    return matrix


def overall_performance(r: Matrix) -> float:
    """OP = mean_j R[T−1][j]."""
    return float(_checked(r, diagonal=False)[-1].mean())


def backward_transfer(r: Matrix) -> float:
    """BWT = Σ_{j<T−1} (R[T−1][j] − R[j][j]) / (T−1); NaN for a single task, which has none.

    Lopez-Paz and Ranzato, *Gradient Episodic Memory* (2017), equation 3.
    """
    last, diagonal = _checked(r)[-1, :-1], np.diag(r)[:-1]
    return float((last - diagonal).mean()) if len(last) else float("nan")


def forward_transfer(r: Matrix, single: Sequence[float]) -> float:
    """FWT = mean_j (R[j][j] − b_j), over all T tasks, the first included.

    What a task gains from the tasks before it. Not GEM's, whose b_j is the score of an untrained model and whose
    R[j−1][j] is measured before training on the task.

    :param single: b_j, the score of each task after training on it alone, in the order of ``r``; shape (T,).
    :raises ValueError: unless there is one finite score a task.
    """
    reference = np.asarray(single, dtype=np.float64)
    if reference.shape != (len(_checked(r)),):
        raise ValueError(
            f"single: expected one score for each of the {len(r)} tasks, got shape {reference.shape}; "
            "single_task_scores() measures them"
        )
    if not np.isfinite(reference).all():
        missing = np.flatnonzero(~np.isfinite(reference)).tolist()
        raise ValueError(f"single: expected a finite score for every task, got none for tasks {missing}")
    return float((np.diag(r) - reference).mean())


def forgetting(r: Matrix) -> float:
    """Mean over j < T−1 of max_{i≥j} R[i][j] − R[T−1][j]; NaN for a single task."""
    _checked(r)
    best = [np.nanmax(r[j:, j]) for j in range(len(r) - 1)]
    return float((np.array(best) - r[-1, :-1]).mean()) if best else float("nan")


def summary(r: Matrix, single: Sequence[float] | None = None) -> dict[str, float]:
    """All metrics by the names of :data:`DEFINITIONS`; OP alone where R lacks its diagonal, as of joint training.

    :param single: the single-task references of :func:`forward_transfer`; without them there is no FWT.
    """
    metrics = {"OP": overall_performance(r)}
    if np.isnan(np.diag(r)).any():
        return metrics
    metrics["BWT"] = backward_transfer(r)
    if single is not None:
        metrics["FWT"] = forward_transfer(r, single)
    return {**metrics, "Forgetting": forgetting(r)}


def _checked(r: Matrix, diagonal: bool = True) -> Matrix:
    if r.ndim != 2 or r.shape[0] != r.shape[1] or len(r) == 0:
        raise ValueError(f"R: expected a square matrix, got shape {r.shape}")
    if np.isnan(r[-1]).any():
        raise ValueError("R: expected its last row to be measured; evaluate every task after the last")
    if diagonal and np.isnan(np.diag(r)).any():
        raise ValueError("R: expected its diagonal to be measured; evaluate each task after training on it")
    return r
