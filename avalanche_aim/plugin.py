"""AIMMerging as an Avalanche plugin: the hooks, and nothing else."""

from functools import cached_property
from typing import Any

from avalanche.training import JointTraining
from avalanche.training.plugins import SupervisedPlugin

from .distributed import DataParallel
from .rehearsal.memory import RehearsalMemory
from .rehearsal.method import Method
from .rehearsal.task import TaskProgress
from .training.engine import StrategyEngine
from .training.owner import Owner


class AIMMergingPlugin(Method, SupervisedPlugin, supports_distributed=True):  # type: ignore[call-arg]
    """Continual learning by adaptive iterative model merging (AIMMerging, arXiv 2509.17348).

    While the model trains on a new experience, the plugin watches the learning signal and the loss on a small
    rehearsal memory, decides when to merge, and fuses what was just learned with what a short fine-tuning on the
    memory brings back. The first experience has no memory and trains undisturbed. It works with any SGD template
    of Avalanche, any model with trainable parameters, and beside other plugins; those that keep the weights after an
    experience (EWC, LwF) see the merged ones if they are listed after it::

        strategy = Naive(model=model, optimizer=optimizer, criterion=criterion, plugins=[AIMMergingPlugin()])

    ``history`` holds every merge and every monitored iteration; the signals, the interval, the weights and the
    merges are also published as Avalanche metric values under ``AIM/``. Oscillation and stagnation, the two ways in
    which the method fails, are named in a warning, once an experience. Where training makes weights non-finite, they
    go back to θ_prev, with a warning; the fourth time in an experience, or where there is no θ_prev, it ends with a
    ``FloatingPointError``.

    Its settings are those of :class:`~avalanche_aim.rehearsal.method.Method`: a preset, the parts that replace the
    preset's, the memory, a seed.
    """

    @cached_property
    def _progress(self) -> TaskProgress:
        return TaskProgress()

    @cached_property
    def _owner(self) -> Owner:
        return Owner()

    def before_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Take θ_prev and start signals and intervals anew, where a task begins and there is something to rehearse."""
        getattr(strategy.model, "check_criterion", lambda criterion: None)(strategy._criterion)
        getattr(self.memory, "check", lambda *_: None)(strategy.model, strategy.experience)
        DataParallel.check(strategy)
        self._owner.check(strategy, self)
        engine, experience = StrategyEngine(strategy, self), strategy.experience
        if isinstance(strategy, JointTraining):
            self.recorder.warn_once("JointTraining trains on all tasks at once; no task follows another, and nothing "
                                    "will merge", "joint")  # fmt: skip
        if isinstance(self.memory, RehearsalMemory):
            self.memory.pre_adapt(strategy, experience)
            if self.memory.knows(experience):
                self.recorder.warn_once(f"experience {experience.current_experience} is trained on again; its "
                                        "examples are in the memory already, and not added again", "again")  # fmt: skip
        if self._progress.begin(experience):
            self.merging.start(engine, self._progress.number)
        else:
            self.merging.continue_task(engine)

    def after_training_iteration(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Monitor the historical loss, and merge when it is time."""
        self.merging.after_iteration(StrategyEngine(strategy, self))

    def after_training_exp(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Merge once more where a task ends and the schedule says so, then remember a share of it."""
        if self._progress.ended(strategy.experience):
            self.merging.end(StrategyEngine(strategy, self))
        if self.memory is not None:
            self.memory.post_adapt(strategy, strategy.experience)

    def before_eval(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Put the slow weights in, where there are any."""
        self.merging.evaluate_slow(True)

    def after_eval(self, strategy: Any, *args: Any, **kwargs: Any) -> None:
        """Put the training's weights back."""
        self.merging.evaluate_slow(False)

    def state_dict(self) -> dict[str, Any]:
        """Return all that later decisions depend on but the memory, which has its own state and may be shared."""
        return {**self.merging.state_dict(), "task": [self._progress.number, self._progress.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.merging.load_state_dict(state)
        self._progress.number, self._progress.parts = state["task"]
