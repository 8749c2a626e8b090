"""Merge controllers that several tests drive by losses worked out by hand."""

QUIET, ACTIVE = 1.0, 2.0  # with factor 2 and a mean of 1 the threshold is 2


def run_until_merge(controller, losses=(), movement=1.0):
    """Feed the losses, then quiet ones, until a merge is due, and make it."""
    losses = list(losses)
    for _ in range(1000):
        reason = controller.observe(losses.pop(0) if losses else QUIET)
        if reason is not None:
            return controller.merge(movement, reason)
    raise AssertionError("no merge in 1000 iterations")


def intervals(controller, signals):
    """Merge once for each learning signal and return the planned interval before each merge."""
    controller.start()
    planned = []
    for signal in signals:
        interval = controller.schedule.interval
        planned.append(interval)
        # All merges here come after S (paper) or divide by S (reference), so that this gives the signal exactly.
        decision = run_until_merge(controller, movement=signal * interval)
        assert decision.learning_signal == signal
    return planned
