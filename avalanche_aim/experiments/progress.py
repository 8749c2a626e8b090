"""One progress bar for a whole run: training and evaluation, with the time left."""

from typing import Any

from avalanche.training.plugins import SupervisedPlugin
from tqdm import tqdm


class Progress(SupervisedPlugin):
    """Shows how far a run is, in examples trained on or evaluated.

    :param name: shown before the bar.
    :param total: examples in all.
    """

    def __init__(self, name: str, total: int) -> None:
        super().__init__()
        self.bar = tqdm(total=total, desc=name, unit="ex", dynamic_ncols=True, smoothing=0.05)

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Name the task."""
        self.bar.set_postfix_str(f"training on {_name(strategy)}")

    def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Advance by the strategy's own batch size: replayed examples come on top of it."""
        self._advance(min(len(strategy.mb_y), strategy.train_mb_size))

    def before_eval_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Name the task."""
        self.bar.set_postfix_str(f"evaluating {_name(strategy)}")

    def after_eval_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Advance."""
        self._advance(len(strategy.mb_y))

    def _advance(self, examples: int) -> None:
        self.bar.update(min(examples, self.bar.total - self.bar.n))

    def close(self) -> None:
        """End the bar."""
        self.bar.close()


def _name(strategy: Any) -> str:
    return getattr(strategy.experience, "task_name", f"experience {strategy.experience.current_experience}")
