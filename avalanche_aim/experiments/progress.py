"""One line of progress: training and evaluation of all runs, with the time left."""

from collections.abc import Sequence
from typing import Any

from avalanche.training.plugins import SupervisedPlugin
from tqdm import tqdm

from ..distributed import is_main_process


class Progress(SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Moves a bar while one run trains and evaluates.

    Strategies differ in how many examples they train on, so a task's training counts as a fixed amount, and the bar
    follows the share of its iterations that are done.

    :param bar: a ``tqdm`` bar, which several runs may share.
    :param amounts: what training counts, for each call of the strategy's ``train``.
    """

    def __init__(self, bar: Any, name: str, amounts: Sequence[int]) -> None:
        super().__init__()
        self.bar = bar
        self.name = name
        self._amounts = list(amounts)
        self._begun = 0
        self._origin = bar.n
        self._base = self._amount = 0.0

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self._base = self.bar.n
        self._amount = self._amounts[self._begun] if self._begun < len(self._amounts) else 0
        self._begun += 1
        self.bar.set_description_str(f"{self.name}, training on {_name(strategy)}", refresh=False)

    def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        iterations = len(strategy.dataloader)
        done = strategy.clock.train_exp_epochs * iterations + strategy.clock.train_epoch_iterations + 1
        self._move_to(self._base + self._amount * min(1.0, done / (iterations * strategy.train_epochs)))

    def after_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self._move_to(self._base + self._amount)

    def before_eval_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self.bar.set_description_str(f"{self.name}, evaluating {_name(strategy)}", refresh=False)

    def after_eval_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        self._move_to(self.bar.n + len(strategy.mb_y))

    def state_dict(self) -> dict[str, Any]:
        """Return how far the run is, counted from its beginning."""
        return {"begun": self._begun, "base": self._base - self._origin, "place": self.bar.n - self._origin}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._begun = state["begun"]
        self._amount = self._amounts[self._begun - 1] if self._begun else 0
        self._base = self._origin + state["base"]
        self._move_to(self._origin + state["place"])

    def _move_to(self, place: float) -> None:
        self.bar.update(min(int(place), self.bar.total) - self.bar.n)


def progress_bar(total: int, shown: bool = True) -> Any:
    """Make a bar; of several processes the first shows it.

    :param total: examples trained on and evaluated.
    """
    return tqdm(total=total, unit="ex", dynamic_ncols=True, smoothing=0.05, disable=not (shown and is_main_process()))


def _name(strategy: Any) -> str:
    return getattr(strategy.experience, "task_name", f"experience {strategy.experience.current_experience}")
