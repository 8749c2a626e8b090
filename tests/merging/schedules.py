"""How schedules are driven: by learning signals, or by iterations that pass."""

from views import merged, observed

from avalanche_aim.merging import ForgettingSignal, LearningSignal

LEVEL = [1.0, 1.0, 1.0, 1.0]  # four signals: beyond them the reference schedule adapts


def next_interval(schedule, values):
    """Adapt to the learning signals and return the interval chosen."""
    learning = LearningSignal(None)
    learning.values = [float(value) for value in values]
    schedule.adapt(merged(learning=learning))
    return schedule.interval


def intervals_passed(schedule, iterations):
    """Return how long each interval was when nothing but time passes."""
    forgetting, elapsed, lengths = ForgettingSignal(), 0, []
    for _ in range(iterations):
        elapsed += 1
        if schedule.due(observed(elapsed=elapsed, forgetting=forgetting)):
            lengths.append(elapsed)
            elapsed = 0
            schedule.adapt(merged())
    return lengths
