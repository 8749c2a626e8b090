"""Observations and merges that parts of the method are shown, with what does not matter left at a default."""

from avalanche_aim.merging import DueMerge, ForgettingSignal, LearningSignal, Observation


def observed(historical_loss=None, *, elapsed=1, forgetting=None, **measures):
    learning = LearningSignal(None)
    return Observation(0, elapsed, elapsed, learning, forgetting or ForgettingSignal(), historical_loss, **measures)


def merged(
    movement=1.0, elapsed=1, *, interval=None, learning=None, forgetting=None, names=("w",), progress=None, straight=0.0
):
    return DueMerge(
        experience=1,
        reason="interval",
        interval=interval,
        elapsed=elapsed,
        adapted=False,
        movement=movement,
        learning=learning or LearningSignal(None),
        forgetting=forgetting or ForgettingSignal(),
        names=names,
        progress=progress,
        straightness=straight,
    )
