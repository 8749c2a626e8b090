"""A learning rate that warms up and decays over each experience."""

from typing import Any

from avalanche.training.plugins import SupervisedPlugin


class LearningRateSchedule(SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Warms the learning rate up and lets it decay over all iterations of an experience, anew in each.

    The schedules are Transformers' own (``transformers.get_scheduler``); the optimizer's learning rate is the peak, and
    is put back when the experience is over. The rate changes right after the optimizer step, so that what follows in
    the iteration, a merge of AIM say, finds the new one wherever this plugin is listed::

        plugins=[LearningRateSchedule("cosine", warmup=50), AIMMergingPlugin()]

    A merge at the end of an experience (``OncePerTask``) takes place at the peak: at the end of a decay to zero its
    memory fine-tuning would change nothing.

    :param name: "linear", "cosine", "constant" or another name that Transformers knows.
    :param warmup: iterations over which the rate rises; the very first has rate zero.
    :param settings: further arguments of the schedule, such as ``min_lr_rate=0.1`` of "cosine_with_min_lr".
    :raises ValueError: for an unknown schedule, one that follows a metric, or a negative warm-up.
    """

    def __init__(self, name: str = "linear", warmup: int = 0, **settings: Any) -> None:
        from transformers import SchedulerType

        super().__init__()
        known = sorted(kind.value for kind in SchedulerType if kind.value not in ("reduce_lr_on_plateau", "greedy"))
        if name not in known:
            raise ValueError(f"schedule: expected one of {', '.join(known)}, got {name!r}")
        if warmup < 0:
            raise ValueError(f"warmup: expected 0 or more iterations, got {warmup}")
        self.name = "constant_with_warmup" if name == "constant" else name
        self.warmup = warmup
        self.settings = settings
        self._scheduler: Any = None
        self._peaks: list[Any] = []
        self._left = 0

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Put the peak back where an earlier training broke off with an error."""
        self._restore(strategy)

    def before_training_epoch(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Begin the schedule in the first epoch; by now a replay plugin has its own data loader in place."""
        if self._scheduler is not None:
            return
        from transformers import get_scheduler

        optimizer, self._left = strategy.optimizer, strategy.train_epochs * len(strategy.dataloader)
        self._peaks = [group["lr"] for group in optimizer.param_groups]
        self._scheduler = get_scheduler(self.name, optimizer, self.warmup, self._left, self.settings)

    def after_update(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Take the schedule's next rate."""
        self._scheduler.step()
        self._left -= 1

    def after_training_epoch(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Put the peak back after the last iteration, before any plugin's end of the experience."""
        if self._left <= 0:
            self._restore(strategy)

    def after_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Put the peak back where training was stopped early."""
        self._restore(strategy)

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the schedule; the rate itself is the optimizer's state."""
        state = None if self._scheduler is None else self._scheduler.state_dict()
        if state is not None:
            del state["lr_lambdas"]  # functions; the schedule's name and length make them anew
        return {"scheduler": state, "peaks": list(self._peaks), "left": self._left}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned, within the same experience, whose schedule has begun."""
        if self._scheduler is not None and state["scheduler"] is not None:
            lambdas = self._scheduler.state_dict()["lr_lambdas"]
            self._scheduler.load_state_dict({**state["scheduler"], "lr_lambdas": lambdas})
            self._peaks, self._left = list(state["peaks"]), state["left"]

    def _restore(self, strategy: Any) -> None:
        if self._scheduler is None:
            return
        for group, peak in zip(strategy.optimizer.param_groups, self._peaks, strict=True):
            group["lr"] = peak
            del group["initial_lr"]  # or the next schedule would begin from it, whatever the rate is then
        self._scheduler = None
